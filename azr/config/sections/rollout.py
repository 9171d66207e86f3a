"""Configuration of the engines that sample responses: how many, how large, and how patient those are who ask them.

Read by `actors.engine.settings` and `actors.rollout`. Which model they load is the section `model`'s.
"""

from __future__ import annotations

from dataclasses import dataclass, field

DTYPES = ("auto", "float32", "bfloat16", "float16")


@dataclass
class RolloutConfig:
    """vLLM engines under Ray Serve."""

    replicas: int = 1
    """Engines that serve. Each is one vLLM of `tensor_parallel` workers."""
    standby: int = 0
    """Replicas with their imports done and no engine yet; the first to see a serving one die takes its place."""
    separate_roles: bool = False
    """Proposers and solvers get a deployment of engines each, instead of sharing one."""
    proposer_replicas: int = 1
    """Engines for proposing where roles are separate; `replicas` are then the solvers'."""
    tensor_parallel: int = 1
    """Workers (GPUs) that share one engine's weights."""
    cpus_per_replica: float = 0.0
    """CPU cores that Ray sets aside for a replica. 0 sets none aside: engines and players share the machine."""
    gpus_per_replica: float = -1.0
    """GPUs that Ray sets aside for a replica, a fraction to share one; -1: `tensor_parallel` where there are GPUs."""
    replicas_per_node: int = 0
    """Engines on one machine at most, so that the loss of a machine costs few, of each role if `separate_roles`; 0: as
    many as there is room for. The cards of one engine are always on one machine, as tensor parallelism wants."""
    threads: int = 1
    """OpenMP threads of an engine on CPUs."""
    dtype: str = "auto"
    """Of the weights in the engine: `auto` (float32 on a CPU, bfloat16 on a GPU), `float32`, `bfloat16`, `float16`."""
    max_sequences: int = 64
    """Responses that one engine samples at a time."""
    max_model_len: int = 0
    """Longest prompt with its response, in tokens; 0: what the model allows."""
    max_batched_tokens: int = 0
    """Tokens of one engine step, prompts included; 0: vLLM's own. Small values make the first token after an update of
    the weights come sooner, when caches are recomputed."""
    kv_cache_mb: int = 0
    """Memory of the KV cache; 0: a quarter GiB on a CPU, what `memory_fraction` leaves on a GPU."""
    block_size: int = 0
    """Tokens of a KV cache block; 0: vLLM's own on a GPU, 32 on a CPU. Prompts share whole blocks only."""
    memory_fraction: float = 0.85
    """Share of a GPU's memory that an engine may use."""
    compile: bool = True
    """CUDA graphs and torch.compile on a GPU; a CPU engine always runs eagerly."""
    engine_arguments: dict[str, str] = field(default_factory=dict)
    """More arguments of vLLM's `AsyncEngineArgs`, by name; values are read as YAML."""
    health_check_seconds: float = 1.0
    """How often Serve asks each replica whether it is well."""
    start_seconds: float = 600.0
    """How long replicas may take to stand, and how long a run waits for one when all are away. On a loaded machine
    vLLM's imports alone take minutes."""
    request_seconds: float = 600.0
    """How long a request of `azr seed make`, `azr eval` or a run's own seeding may take, retries included; a player's:
    `actors.generate_seconds`."""
    attempts: int = 4
    """How often a request is sent before it is given up because replicas died of it, or beside it."""
    drain_seconds: float = 60.0
    """How long a replica that is taken away may finish what it is sampling."""
    max_requests: int = 512
    """Unanswered requests that a replica holds; beyond them it sends callers elsewhere."""
    scale_up_wait: float = 0.2
    """Share of its time that the learner may wait for data before a replica is added."""
    scale_down_idle: float = 0.5
    """Share of their time that the engines may be idle before one is taken away."""
    max_replicas: int = 0
    """Most replicas that scaling may reach; 0: `replicas` is fixed."""


def most_engines(rollout: RolloutConfig) -> int:
    """Engines that may be there at once: of both roles where they are apart, those standing by in each pool, and what
    scaling may add."""
    pools = [max(rollout.replicas, rollout.max_replicas)]
    pools += [rollout.proposer_replicas] if rollout.separate_roles else []
    return sum(pools) + rollout.standby * len(pools)
