"""Presets: the YAML files that ship with azr, found by name in a checkout and in an installed wheel alike.

A preset is a partial configuration. `tiny` is `conf/tiny.yaml`; `algorithm/paper` is `conf/algorithm/paper.yaml`, and
`algorithm` is then called a group, of which `algorithm=paper` chooses one. A preset may build on others with a list
under `include`, merged before its own keys.
"""

from __future__ import annotations

from pathlib import Path

import azr
from azr.errors import ConfigError
from azr.names import did_you_mean


def preset_folder() -> Path:
    """Where the presets lie: `azr/conf` in an installed wheel, `conf` beside the packages in a checkout."""
    package = Path(azr.__file__).resolve().parent
    for folder in (package / "conf", package.parent / "conf"):
        if folder.is_dir():
            return folder
    raise ConfigError(
        f"the presets are missing from {package}", "install azr again; its wheel carries them in azr/conf"
    )


def preset_names() -> list[str]:
    """The names of all presets, sorted: `tiny`, `algorithm/paper`, …"""
    folder = preset_folder()
    return sorted(path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.yaml"))


def groups() -> dict[str, list[str]]:
    """Each group of presets and the names to choose from: {"algorithm": ["default", "paper"], …}."""
    found: dict[str, list[str]] = {}
    for name in preset_names():
        group, slash, choice = name.rpartition("/")
        if slash:
            found.setdefault(group, []).append(choice)
    return found


def preset_path(name: str) -> Path:
    """The file of the preset, or a `ConfigError` with the nearest name."""
    names = preset_names()
    if name not in names:
        raise ConfigError(
            f"no preset is called {name!r}; {did_you_mean(name, names)}", "azr config presets lists them all"
        )
    return preset_folder() / f"{name}.yaml"
