"""Configuration of the run itself: its name, where it writes, the seed that everything random starts from, and when it
ends (steps, minutes); how long a batch is waited for, and how far engine and learner may be apart (parity)."""

from __future__ import annotations

from dataclasses import dataclass

#: The largest seed that everybody who is given one takes: NumPy, torch and vLLM.
LARGEST_SEED = 2**32 - 1


@dataclass
class RunConfig:
    """The run itself."""

    name: str = "default"
    """Name of the run; its folder is `folder/name`."""

    folder: str = "runs"
    """Where the folders of runs lie."""

    seed: int = 0
    """Everything random in a run is seeded from this number and the name of the part that draws; at least 0, and below
    2^32."""

    steps: int = 0
    """Learner steps after which the run ends; 0: no such bound."""

    minutes: float = 0.0
    """Minutes of training after which the run ends with its step, a checkpoint and an evaluation; 0: no such bound."""

    batch_seconds: float = 3600.0
    """How long the learner waits for a batch before the run ends, naming the cells that lack something; and for room on
    a full disk that keeps a service from writing its journal, naming that."""

    parity_limit: float = 0.01
    """Nats (the k3 estimate) by which engine and learner may differ on the same tokens under the same weights; a run
    that starts above this ends with the reason, and later it is said. Measured: 1e-12 in float32, 4e-4 in bfloat16 on
    a card."""
