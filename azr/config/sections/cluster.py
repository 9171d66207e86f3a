"""Configuration of the cluster: which Ray, how much of it, and how long its parts may take to start and stop."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class ClusterConfig:
    """Where a run's processes live."""

    address: str = ""
    """Empty: a Ray of the run's own on this machine, gone when the run ends. `auto`: the cluster this machine or job is
    part of. Otherwise HOST:PORT of the head of a cluster that this machine is part of."""
    cpus: int = 0
    """Cores the run's own Ray may hand out; 0: all that the process may use."""
    object_store_mb: int = 256
    """Shared memory of the run's own Ray, for batches and weights on their way."""
    learner_cpus: float = 1.0
    """Cores that Ray sets aside for each learner rank, also beside a GPU."""
    learner_gpus: float = 1.0
    """GPUs of each learner rank, where there are any; a fraction shares the card, e.g. with an engine, and is above 0.5
    for more ranks than one, since no two of them can share one; 0: ranks compute on cores."""
    placement: str = "PACK"
    """How learner ranks are laid over machines: `PACK`, `SPREAD`, `STRICT_PACK`, `STRICT_SPREAD`."""
    gpu: str = ""
    """GPU type that the memory plan is worked out for, e.g. `H100-80GB`, `H200`, `L40S`: what does not fit is refused
    before anything starts; empty: no plan."""
    start_seconds: float = 600.0
    """How long any one part may take to be ready. On busy cores an engine takes minutes."""
    work_seconds: float = 3600.0
    """How long each evaluation, and the seeding, may take. A large model on few engines may need more."""
    stop_seconds: float = 60.0
    """How long parts may take to finish what they do when the run ends; then they are ended."""
