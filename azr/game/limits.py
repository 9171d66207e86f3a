"""What one run may use, by the configuration of the sandbox. Called where the game's rules are made."""

from __future__ import annotations

from azr.config.sections.sandbox import SandboxConfig
from sandbox_wasm.protocol import FUEL_PER_SECOND, Limits


def limits_of(sandbox: SandboxConfig) -> Limits:
    """The limits of a run: fuel decides, the wall clock stands behind it."""
    return Limits(
        fuel=max(1, int(sandbox.timeout_seconds * FUEL_PER_SECOND)),
        wall_seconds=sandbox.wall_seconds,
        memory_bytes=sandbox.memory_mb << 20,
        output_bytes=sandbox.output_kb << 10,
    )
