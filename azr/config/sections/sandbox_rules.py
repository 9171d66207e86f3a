"""What the section `sandbox` may not be set to, with reason and mend. Called by `azr.config.rules`."""

from __future__ import annotations

from collections.abc import Iterator

from azr.config.sections.checking import Problem, at_least
from azr.config.sections.sandbox import SandboxConfig
from azr.plugins import unknown_name
from sandbox_wasm.registry import BUILT_IN, ENTRY_POINT_GROUP, Option

#: A task's second run gets half of what a run may have, and the WebAssembly guest begins with 38 MiB.
LEAST_MEMORY_MB = 96

#: A tebibyte: far above what any program may use, and below what counts of bytes can hold.
MOST_MEMORY_MB = 1 << 20


def problems(sandbox: SandboxConfig) -> Iterator[Problem]:
    """Everything wrong with the section."""
    if (unknown := unknown_name(ENTRY_POINT_GROUP, sandbox.backend, BUILT_IN)) is not None:
        yield Problem("sandbox.backend", *unknown)
    for name, value in sandbox.options.items():
        if not isinstance(value, Option):
            kind = type(value).__name__
            yield Problem(f"sandbox.options.{name}", f"it is a {kind}", "give text, a number, true, false or null")
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
        yield from at_least(f"sandbox.{name}", getattr(sandbox, name), low)
    if sandbox.memory_mb > MOST_MEMORY_MB:
        told = f"{sandbox.memory_mb} is out of range"
        yield Problem("sandbox.memory_mb", told, f"it must be at most {MOST_MEMORY_MB}")
