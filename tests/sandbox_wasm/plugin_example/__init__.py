"""A back end of somebody else's, as a distribution of its own: what `docs/extending-sandbox.md` describes.

`install` puts it where Python finds installed distributions, with the metadata that names it: what `pip install` does.
"""

from __future__ import annotations

import shutil
from pathlib import Path

_METADATA = "Metadata-Version: 2.1\nName: azr-rehearsal\nVersion: 1.0\n"
_ENTRY_POINTS = "[azr.sandboxes]\nrehearsal = azr_rehearsal:RehearsalBackend\n"


def install(site: Path) -> None:
    """Install the distribution into a folder that is, or will be, on the module path."""
    shutil.copytree(Path(__file__).with_name("azr_rehearsal"), site / "azr_rehearsal")
    about = site / "azr_rehearsal-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(_METADATA)
    (about / "entry_points.txt").write_text(_ENTRY_POINTS)
