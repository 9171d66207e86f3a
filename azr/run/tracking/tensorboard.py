"""TensorBoard as a tracker: event files in the run's folder. Optional; its package comes with Ray Train."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from azr.run.tracking.base import RunInfo


class TensorboardTracker:
    """Writes event files."""

    name = "tensorboard"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer: Any = None

    def start(self, run: RunInfo) -> None:
        """Open the event file of this start."""
        from tensorboardX import SummaryWriter

        self._writer = SummaryWriter(str(self._folder), write_to_disk=True)
        table = "".join(f"| {name} | {value} |\n" for name, value in run.parameters.items())
        self._writer.add_text("configuration", f"| key | value |\n|---|---|\n{table}")

    def metrics(self, step: int, values: Mapping[str, float], at: float) -> None:
        """A scalar each."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step, walltime=at)
        self._writer.flush()

    def artifact(self, path: Path) -> None:
        """TensorBoard keeps no files."""

    def finish(self, status: str) -> None:  # noqa: ARG002 - the protocol's
        """Close the event file."""
        self._writer.close()
