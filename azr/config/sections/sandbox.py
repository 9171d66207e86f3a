"""Configuration of the sandbox: which back end runs programs, on how many processes, and what a program may use.

Read by the actors, the gate and the verifier through `azr.game`, and by the command line for its defaults.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class SandboxConfig:
    """Where model-written programs run."""

    backend: str = "wasm"
    """`wasm` (default, strongest), `process` (native speed and any package; weaker), or the name of a plug-in announced
    under the entry-point group `azr.sandboxes`."""
    workers: int = 0
    """Worker processes of each pool; 0: one for each core that the process may keep busy; a
    container's limit counts."""
    options: dict[str, Any] = field(default_factory=dict)
    """Passed to the back end by name, each text, a number, true, false or null, e.g. `instances: restored` of `wasm`:
    one interpreter put back bit by bit between programs instead of a new one for each. They go with the back end they
    are given for: a preset, file or command line that chooses another begins without those that came before it."""
    timeout_seconds: float = 2.0
    """Of one input's run, counted in fuel, which is reproducible: an instruction budget that lasts about this long on a
    server core of 2020, and about half as long on one of today."""
    wall_seconds: float = 6.0
    """Wall clock behind the fuel, for a machine so loaded that fuel does not run out in time. A run it ends is asked
    once more; ended again, it is undecided (`retry`) and counts neither for nor against anybody."""
    memory_mb: int = 256
    """Memory of one run, its interpreter (about 40 MB) included; at least 96."""
    output_kb: int = 64
    """Longest text of a value; a longer one has no literal form and is `opaque`."""
    queue_jobs: int = 0
    """Jobs handed to the pool and unanswered, beyond which callers wait; 0: 128 for each worker."""
    grace_seconds: float = 2.0
    """How long past its limits a worker may stay silent before it is killed and replaced."""
    start_seconds: float = 360.0
    """How long a worker may take to be ready. The first one on a machine compiles the guest."""
