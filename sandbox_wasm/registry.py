"""Back ends by name: the two that azr brings, and whatever others installed.

A back end of one's own is a class that satisfies `sandbox_wasm.protocol.Backend` in an installed distribution whose
metadata names it under the entry-point group `azr.sandboxes`; see `docs/extending-sandbox.md`. Called by the worker,
which builds the back end it was told, and by the pool, which refuses a wrong name before any process is started.

      name ──► built in? ──► entry point of that name? ──► class(**options) ──► Backend
                                   │ neither
                                   └──► UnknownBackendError, with the names there are and the nearest one
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import cast

from sandbox_wasm.protocol import Backend

#: Where other distributions announce their back ends.
ENTRY_POINT_GROUP = "azr.sandboxes"

#: What a back end's option may be: it travels to the worker as msgpack.
Option = str | int | float | bool | None

BackendFactory = Callable[..., Backend]

#: The back ends azr brings. They are entry points in form only, so that they exist in a checkout that is not installed,
#: and so that no other distribution can take their names.
BUILT_IN: Mapping[str, EntryPoint] = {
    name: EntryPoint(name=name, value=value, group=ENTRY_POINT_GROUP)
    for name, value in {
        "process": "sandbox_wasm.process.backend:ProcessBackend",
        "wasm": "sandbox_wasm.wasm.backend:WasmBackend",
    }.items()
}


class UnknownBackendError(ValueError):
    """No back end has the name that was asked for."""


class BackendConfigurationError(ValueError):
    """A back end was given an option it does not take, could not be imported, or is brought by several packages."""


def known_backends() -> dict[str, EntryPoint]:
    """Every back end that can be asked for, by name; built-in ones win over others of the same name."""
    found = {entry.name: entry for entry in entry_points(group=ENTRY_POINT_GROUP)}
    return dict(sorted({**found, **BUILT_IN}.items()))


def find_backend(name: str) -> BackendFactory:
    """Import the back end of that name."""
    known = known_backends()
    entry = known.get(name)
    if entry is None:
        nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
        raise UnknownBackendError(
            f"no sandbox back end is called {name!r}.{hint} Known: {', '.join(known)}."
            f" Others are found through the entry-point group {ENTRY_POINT_GROUP!r} of installed packages."
        )
    if name not in BUILT_IN:
        _require_one(name)
    try:
        factory = entry.load()
    except Exception as error:
        raise BackendConfigurationError(
            f"the sandbox back end {name!r} ({entry.value}) cannot be imported: {type(error).__name__}: {error}"
        ) from error
    if not callable(factory):
        raise BackendConfigurationError(f"the sandbox back end {name!r} ({entry.value}) is not a class or function")
    return cast(BackendFactory, factory)


def _require_one(name: str) -> None:
    """Refuse a name that installed packages bring for different things: the order they are found in would decide."""
    found = entry_points(group=ENTRY_POINT_GROUP, name=name)
    if len({entry.value for entry in found}) > 1:
        brought = sorted({f"{entry.dist.name if entry.dist else 'a package'} ({entry.value})" for entry in found})
        raise BackendConfigurationError(
            f"the sandbox back end {name!r} is brought by {' and by '.join(brought)}: uninstall all of them but one"
        )


def check_options(name: str, factory: BackendFactory, options: Mapping[str, Option]) -> None:
    """Refuse an option the back end does not take, naming those it does."""
    parameters = inspect.signature(factory).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    for option in options:
        if option not in parameters:
            nearest = difflib.get_close_matches(option, parameters, n=1, cutoff=0.5)
            hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
            takes = ", ".join(parameters) or "no options"
            raise BackendConfigurationError(
                f"the sandbox back end {name!r} has no option {option!r}.{hint} It takes: {takes}."
            )


def make_backend(name: str, options: Mapping[str, Option]) -> Backend:
    """Build the back end of that name with its options. Only a worker does this: a back end may own a whole engine."""
    factory = find_backend(name)
    check_options(name, factory, options)
    return factory(**options)
