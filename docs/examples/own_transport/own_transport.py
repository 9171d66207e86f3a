"""A weight transport of one's own: each version's file is also copied to a folder that others read.

Install this folder (`pip install --no-deps --no-build-isolation docs/examples/own_transport`) where the learner runs
and choose it:

    AZR_COPIES=/shared/weights azr train --config tiny weights.transport=copied

The variable is read where the learner's first rank is. In a joined cluster that is no child of the command's: set it
where `ray start` is typed on that node, or among the `env_vars` of the job's runtime environment.

A transport brings one version to all replicas and answers with the order that they report on. This one lets every
replica take the version's file from the registry, which needs nothing on their side; before that it copies the file.
One that sends bytes itself (see `actors/weights/transports/gloo.py`) has a receiving side as well. Whatever it raises
costs nothing but time, and is said: the replicas then take the file.

In a joined cluster the registry may be on another node than the learner's first rank. Both must then see the folder of
the versions: `weights.folder` names one that all nodes see.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from actors.weights.records import Order
from actors.weights.transports.base import Fleet
from actors.weights.transports.files import file_name
from azr.config.sections.weights import WeightsConfig
from azr.game.types import Version

if TYPE_CHECKING:
    from torch import Tensor


class CopiedFolder:
    """Copies, then has everybody take the file."""

    #: The file must lie in the folder before `carry`, wherever the registry is.
    needs_file = True

    def __init__(self, folder: Path, config: WeightsConfig) -> None:  # noqa: ARG002 - every transport is given both
        self._folder = folder

    def carry(self, version: Version, checksum: str, tensors: Mapping[str, Tensor], fleet: Fleet) -> int:
        """The file of this version lies in the folder already; it is complete when its name appears."""
        del tensors
        # Read here and not at the beginning: where it is missing, this fails like anything else that goes wrong.
        name, copies = file_name(version), Path(os.environ["AZR_COPIES"])
        partial = copies / f"{name}.partial"
        shutil.copyfile(self._folder / name, partial)
        partial.replace(copies / name)
        return fleet.give(Order(number=0, action="file", version=version, checksum=checksum))

    def close(self) -> None:
        """Nothing to close."""
