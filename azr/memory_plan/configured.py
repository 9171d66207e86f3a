"""The plan of a configuration: which keys say what the arithmetic needs.

Called by `azr train`, with `--dry-run` or without, and by `azr config memory`. Pure.
"""

from __future__ import annotations

from azr.config.root import Config, longest_sequence
from azr.config.sections.rollout import most_engines
from azr.errors import AzrError
from azr.memory_plan.cards import card_named
from azr.memory_plan.engine import Engine, Sent
from azr.memory_plan.plan import MemoryPlan, make_plan
from azr.memory_plan.shapes import shape_of


def plan_memory(config: Config, gpu: str = "") -> MemoryPlan:
    """The plan on cards of `cluster.gpu`, or of the type given; without either there is nothing to plan."""
    card = gpu or config.cluster.gpu
    if not card:
        raise AzrError("no GPU type is named, so there is no memory to plan", "set cluster.gpu, e.g. cluster.gpu=H200")
    return make_plan(
        config.model.path,
        shape_of(config.model.path),
        card_named(card),
        config.learner,
        engine_of(config),
        rank_share=config.cluster.learner_gpus,
        versions=0 if config.weights.folder else versions_kept(config),
    )


def versions_kept(config: Config) -> int:
    """Versions that the registry has at most: the next is written before the oldest of those kept goes."""
    return config.weights.keep_versions + 1


def engine_of(config: Config) -> Engine:
    """The engines of a configuration, as far as memory cares."""
    rollout, transport = config.rollout, config.weights.transport
    whole_cards = rollout.gpus_per_replica < 0 or rollout.gpus_per_replica >= rollout.tensor_parallel
    between_cards = whole_cards and config.cluster.learner_gpus > 0
    return Engine(
        replicas=most_engines(rollout),
        tensor_parallel=rollout.tensor_parallel,
        share=rollout.memory_fraction,
        running=rollout.max_sequences,
        sequence_tokens=longest_sequence(config),
        batched_tokens=rollout.max_batched_tokens or Engine.__struct_defaults__[0],
        cache=rollout.kv_cache_mb << 20,
        width=4 if rollout.dtype == "float32" else 2,
        card_share=1.0 if rollout.gpus_per_replica < 0 else rollout.gpus_per_replica / rollout.tensor_parallel,
        sent=_sent(transport, between_cards=between_cards),
    )


def _sent(transport: str, *, between_cards: bool) -> Sent:
    if transport == "ipc":
        return "whole"
    return "by tensor" if transport == "nccl" or (transport == "auto" and between_cards) else "no"
