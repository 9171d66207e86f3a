"""Configuration of the way that weights take from the learner to the engines. Read by `actors.weights`."""

from __future__ import annotations

from dataclasses import dataclass

TRANSPORTS = ("auto", "shm", "gloo", "nccl", "ipc", "disk")
KV_ON_UPDATE = ("recompute", "keep")


@dataclass
class WeightsConfig:
    """Weights in flight."""

    transport: str = "auto"
    """`shm` (one machine, or pulled through Ray's object store from others), `gloo` (broadcast between hosts), `nccl`
    (broadcast between GPUs), `ipc` (a learner of one rank and engines of one worker that are given fractions of the
    same GPU), `disk` (a folder that all hosts see), `auto`: nccl where each engine has whole GPUs, shm otherwise. Who
    joins later pulls from the registry in any case."""
    kv_on_update: str = "recompute"
    """`recompute`: what is being sampled is prefilled again under the new weights, so that each token's log-prob is
    exactly that of its version; `keep`: go on with the keys and values at hand, cheap for long contexts, and correct
    because the log-probs recorded are those that were sampled from."""
    folder: str = ""
    """Where the registry keeps versions, in a folder of its own for each driver, removed at the end; empty: in memory
    (/dev/shm). `disk` needs one that all machines see."""
    publish_every: int = 1
    """Steps from one publication to the next, at most `staleness.max_staleness`. More than 1 where handing weights over
    costs more than older data; the age of data keeps its bound."""
    keep_versions: int = 2
    """Newest versions that the registry keeps."""
    verify: bool = True
    """Compare checksums: of what arrived with what was sent (not by `nccl` and `ipc`, which stage nothing), and of the
    loaded weights between replicas."""
    stage_seconds: float = 300.0
    """How long a replica may take to have new weights at hand, while it goes on sampling."""
    pause_seconds: float = 60.0
    """How long an engine may take to stop, or to answer a question, between two steps; one that does not answer is
    replaced."""
    apply_seconds: float = 120.0
    """How long putting new weights in place may take; the engine stands still."""
    publish_seconds: float = 420.0
    """How long all replicas together may take to confirm a version; who has not by then is named, and asked nothing
    more until it serves the newest. An engine that hangs, or takes no weights three times in a row, is replaced."""
    master_address: str = ""
    """Address at which the learner is reached by the workers of `gloo` and `nccl`; empty: that of its host."""
