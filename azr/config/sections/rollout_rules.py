"""What the section `rollout` may not be set to, with reason and mend. Called by `azr.config.rules`."""

from __future__ import annotations

from collections.abc import Iterator

from azr.config.sections.checking import Problem, at_least, between, one_of
from azr.config.sections.rollout import DTYPES, RolloutConfig


def problems(rollout: RolloutConfig, longest: int) -> Iterator[Problem]:
    """Everything wrong with the section; `longest` is in tokens the longest prompt with its response."""
    yield from one_of("rollout.dtype", rollout.dtype, DTYPES)
    for name, low, high in (
        ("replicas", 1, None),
        ("standby", 0, None),
        ("proposer_replicas", 1, None),
        ("tensor_parallel", 1, None),
        ("cpus_per_replica", 0, None),
        ("gpus_per_replica", -1, None),
        ("replicas_per_node", 0, None),
        ("threads", 1, None),
        ("max_sequences", 1, None),
        ("max_model_len", 0, None),
        ("max_batched_tokens", 0, None),
        ("kv_cache_mb", 0, None),
        ("block_size", 0, None),
        ("memory_fraction", 0.01, 1),
        ("health_check_seconds", 0.01, None),
        ("start_seconds", 1, None),
        ("request_seconds", 0.01, None),
        ("attempts", 1, None),
        ("drain_seconds", 0, None),
        ("max_requests", 1, None),
        ("scale_up_wait", 0, 1),
        ("scale_down_idle", 0, 1),
        ("max_replicas", 0, None),
    ):
        key, number = f"rollout.{name}", getattr(rollout, name)
        yield from at_least(key, number, low) if high is None else between(key, number, low, high)
    if 0 < rollout.max_model_len < longest:
        yield Problem(
            "rollout.max_model_len",
            f"{rollout.max_model_len} does not hold the longest prompt (lengths.prompt, lengths.content) with its "
            "response (lengths.response): engines would refuse it",
            f"set {longest} at least, or 0 for what the model allows, or lower lengths.response",
        )
    cards = rollout.gpus_per_replica
    whole = float(cards).is_integer() and cards >= rollout.tensor_parallel
    if (cards >= 1 and not whole) or (0 < cards < 1 and rollout.tensor_parallel > 1):
        yield Problem(
            "rollout.gpus_per_replica",
            f"{cards:g} does not go with {rollout.tensor_parallel} workers of an engine, each of which takes a card",
            "set -1, or a part of one card for an engine of a single worker (rollout.tensor_parallel: 1)",
        )
    if 0 < cards < 1 and not rollout.kv_cache_mb:
        yield Problem(
            "rollout.kv_cache_mb",
            "engines that share a card cannot measure what it leaves them: what others take or free meanwhile counts",
            "say how much each may take, e.g. rollout.kv_cache_mb=4096",
        )
