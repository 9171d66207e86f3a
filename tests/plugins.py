"""Installs a folder of docs/examples for the length of a test, as far as names and imports go."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import pytest

import azr

EXAMPLES = Path(azr.__file__).parents[1] / "docs" / "examples"


def entries_of(example: Path) -> dict[str, dict[str, str]]:
    """What the example's metadata announces: entry points by group."""
    project = tomllib.loads((example / "pyproject.toml").read_text())["project"]
    found: dict[str, dict[str, str]] = project["entry-points"]
    return found


def install(name: str, folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Put the example on the path, with the metadata that installing it would leave there."""
    example = EXAMPLES / name
    announce(folder, name, entries_of(example), patch)
    patch.syspath_prepend(str(example))
    patch.delitem(sys.modules, name, raising=False)


def announce(folder: Path, name: str, entries: dict[str, dict[str, str]], patch: pytest.MonkeyPatch) -> None:
    """Metadata alone."""
    information = folder / f"{name}-0.1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1.0\n")
    lines: list[str] = []
    for group, named in entries.items():
        lines += [f"[{group}]", *(f"{entry} = {target}" for entry, target in named.items())]
    (information / "entry_points.txt").write_text("\n".join(lines) + "\n")
    patch.syspath_prepend(str(folder))
