"""What the section `weights` may not be set to, with reason and mend. Called by `azr.config.rules`."""

from __future__ import annotations

from collections.abc import Iterator

from azr.config.sections.checking import Problem, at_least, one_of
from azr.config.sections.rollout import RolloutConfig, most_engines
from azr.config.sections.weights import KV_ON_UPDATE, TRANSPORTS, WeightsConfig
from azr.plugins import TRANSPORTS as PLUGINS
from azr.plugins import unknown_name

#: Fractions of a card that add up to one may do so a little beside it.
_ROUNDING = 1e-6


def problems(
    weights: WeightsConfig, rollout: RolloutConfig, max_staleness: int, ranks: int, learner_gpus: float
) -> Iterator[Problem]:
    """Everything wrong with the section, for so many learner ranks, each of so many cards."""
    if (unknown := unknown_name(PLUGINS, weights.transport, TRANSPORTS)) is not None:
        yield Problem("weights.transport", *unknown)
    if weights.transport == "ipc" and ranks > 1:
        yield Problem(
            "weights.transport",
            f"ipc serves one learner rank, not {ranks}: its sender would run into the others' training",
            "use shm or nccl, or set learner.ranks: 1",
        )
    elif weights.transport == "ipc" and not _on_one_card(rollout, learner_gpus):
        yield Problem(
            "weights.transport",
            f"ipc hands weights over inside one card, which the learner (cluster.learner_gpus: {learner_gpus:g}) and"
            f" the engines (rollout.gpus_per_replica: {rollout.gpus_per_replica:g}, {most_engines(rollout)} of them,"
            f" rollout.tensor_parallel: {rollout.tensor_parallel}) do not share: at each version they would be torn",
            "use shm or nccl, or let fractions of both add up to one card at most, as 0.5 and 0.5",
        )
    yield from one_of("weights.kv_on_update", weights.kv_on_update, KV_ON_UPDATE)
    most = max(1, max_staleness)
    if weights.publish_every > most:
        yield Problem(
            "weights.publish_every",
            "what is trained on holds its place until weights are published, and so many steps would leave no room to"
            " generate meanwhile",
            f"set it to {most} at most, or staleness.max_staleness to {weights.publish_every} or more",
        )
    for name, low in (
        ("publish_every", 1),
        ("keep_versions", 1),
        ("stage_seconds", 0.01),
        ("pause_seconds", 0.01),
        ("apply_seconds", 0.01),
        ("publish_seconds", 0.01),
    ):
        yield from at_least(f"weights.{name}", getattr(weights, name), low)


def _on_one_card(rollout: RolloutConfig, learner_gpus: float) -> bool:
    """Whether a learner rank and all engines are given parts of a card that one card has."""
    share = rollout.gpus_per_replica
    together = learner_gpus + most_engines(rollout) * share
    return rollout.tensor_parallel == 1 and min(learner_gpus, share) > 0 and together <= 1 + _ROUNDING
