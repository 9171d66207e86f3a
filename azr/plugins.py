"""Plug-ins: classes and functions of other installed packages, found by name through entry points.

A package names what it brings in its metadata; nothing of it is imported until a configuration asks for it by name.

    [project.entry-points."azr.losses"]
    mine = "my_package:MyLoss.of"            # then: algorithm.loss.name=mine

Sandboxes (`azr.sandboxes`) and reward terms (`azr.rewards`) have registries of their own, for they have options.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import entry_points
from typing import Any

from azr.errors import ConfigError
from azr.names import did_you_mean

TASKS = "azr.tasks"
LOSSES = "azr.losses"
TRANSPORTS = "azr.transports"
TRACKERS = "azr.trackers"
SAFETY = "azr.safety"


def plugin_names(group: str) -> tuple[str, ...]:
    """What is installed under a group; imports nothing of it."""
    return tuple(sorted(entry_points(group=group).names))


def unknown_name(group: str, name: str, built_in: Iterable[str] = ()) -> tuple[str, str] | None:
    """What is wrong with a name that nobody brings, or several do, and how to mend it; None for one of one package."""
    if name in built_in:
        return None
    return ambiguous_name(group, name) if name in plugin_names(group) else _unknown(group, name, built_in)


def ambiguous_name(group: str, name: str) -> tuple[str, str] | None:
    """What is wrong with a name under which installed packages bring different things, and how to mend it; which of
    them counts would depend on the order in which they are found."""
    found = entry_points(group=group, name=name)
    if len({entry.value for entry in found}) < 2:
        return None
    brought = sorted({f"{entry.dist.name if entry.dist else 'a package'} ({entry.value})" for entry in found})
    return f"{name!r} is brought by {' and by '.join(brought)}", "uninstall all of these packages but one"


def load_plugin(group: str, name: str, key: str, built_in: Iterable[str] = ()) -> Any:
    """What the entry point of that name says; `key` is where the configuration asked for it."""
    found = tuple(entry_points(group=group, name=name))
    if not found:
        what, mend = _unknown(group, name, built_in)
        raise ConfigError(f"{key}: {what}", mend)
    if (ambiguous := ambiguous_name(group, name)) is not None:
        raise ConfigError(f"{key}: {ambiguous[0]}", ambiguous[1])
    try:
        return found[0].load()
    except Exception as error:
        raise ConfigError(
            f"{key}: {name!r} cannot be loaded: {type(error).__name__}: {error}",
            f"mend its entry point in the group {group!r}, {found[0].value}",
        ) from error


def _unknown(group: str, name: str, built_in: Iterable[str]) -> tuple[str, str]:
    known = (*built_in, *plugin_names(group))
    nearest = did_you_mean(name, known) if known else "none is installed"
    return f"nothing is called {name!r}; {nearest}", f"declare it as an entry point in the group {group!r}"
