"""What the section `sandbox` may not be set to, with reason and mend. Called by `azr.config.rules`."""

from __future__ import annotations

from collections.abc import Iterator

from azr.config.sections.sandbox import SandboxConfig
from azr.plugins import unknown_name
from sandbox_wasm.registry import BUILT_IN, ENTRY_POINT_GROUP, Option

#: A task's second run gets half of what a run may have, and the WebAssembly guest begins with 38 MiB.
LEAST_MEMORY_MB = 96

#: A tebibyte: far above what any program may use, and below what counts of bytes can hold.
MOST_MEMORY_MB = 1 << 20


def problems(sandbox: SandboxConfig) -> Iterator[tuple[str, str, str]]:
    """Everything wrong with the section, as (key, what is wrong, how to mend it)."""
    if (unknown := unknown_name(ENTRY_POINT_GROUP, sandbox.backend, BUILT_IN)) is not None:
        yield ("sandbox.backend", *unknown)
    for name, value in sandbox.options.items():
        if not isinstance(value, Option):
            kind = type(value).__name__
            yield f"sandbox.options.{name}", f"it is a {kind}", "give text, a number, true, false or null"
    for name, low in (
        ("workers", 0),
        ("timeout_seconds", 0.001),
        ("wall_seconds", 0.001),
        ("memory_mb", LEAST_MEMORY_MB),
        ("output_kb", 1),
        ("queue_jobs", 0),
        ("grace_seconds", 0.001),
        ("start_seconds", 0.001),
    ):
        if not (number := getattr(sandbox, name)) >= low:
            yield f"sandbox.{name}", f"{number} is out of range", f"it must be at least {low}"
    if sandbox.memory_mb > MOST_MEMORY_MB:
        yield "sandbox.memory_mb", f"{sandbox.memory_mb} is out of range", f"it must be at most {MOST_MEMORY_MB}"
