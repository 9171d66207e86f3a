"""Whether a run computes on GPUs, and whether there are enough: one answer for Ray, engines and learner.

Called by `local_ray` for what its own Ray may hand out, and by `engines`, whose answer the driver hands to the learner.

    a Ray of its own ──► this machine has cards, and the environment is built for them? ─┬─ yes: Ray counts the cards
                                                                                         └─ no: Ray is told of none
    a joined cluster ──► does it have cards, or does the configuration count on them?
"""

from __future__ import annotations

from collections.abc import Mapping

from actors.engine.settings import EngineSettings, has_gpu
from actors.rollout.deployment import pools_of, resources_of
from azr.config.root import Config
from azr.errors import AzrError

#: What fractions of cards may add up to beyond whole ones: thirds do not add up to one.
_ROUNDING = 1e-6


def own_gpus() -> int | None:
    """GPUs of a Ray on this machine, as `ray.init` takes them: None has Ray count the cards. A card that this
    environment cannot use is none, although Ray would find it."""
    return None if has_gpu() else 0


def on_gpus(config: Config, resources: Mapping[str, float]) -> bool:
    """Whether engines and learner run on GPUs, given what Ray has in all.

    On a machine of its own that is this machine's business. In a cluster the driver's machine says nothing: a head has
    no GPU as a rule, and an autoscaler may not have brought any yet though the configuration counts on them.
    """
    if not config.cluster.address:
        return has_gpu()
    return resources.get("GPU", 0.0) > 0.0 or config.rollout.gpus_per_replica > 0.0


def ranks_on_gpus(config: Config, *, gpu: bool) -> bool:
    """Whether learner ranks are among what runs on GPUs; with `cluster.learner_gpus=0` they compute on cores."""
    return gpu and config.cluster.learner_gpus > 0.0


def require_gpus(config: Config, settings: EngineSettings, resources: Mapping[str, float], *, ranks: int) -> None:
    """Refuse engines and learner ranks that together ask for more GPUs than a Ray of its own has: some would wait for
    a card until a time-out that says nothing of cards. A joined cluster may grow."""
    if config.cluster.address:
        return
    there, share = resources.get("GPU", 0.0), resources_of(settings)["num_gpus"]
    pools = pools_of(settings)
    replicas = sum(pools.values()) + config.rollout.standby * len(pools)
    learner = ranks * config.cluster.learner_gpus if ranks_on_gpus(config, gpu=settings.gpu) else 0.0
    if learner + replicas * share <= there + _ROUNDING:
        return
    asked = [f"{replicas} x {share:g} by engines (rollout.replicas, rollout.standby, rollout.gpus_per_replica)"]
    if learner:
        asked.insert(
            0, f"{ranks} x {config.cluster.learner_gpus:g} by the learner (learner.ranks, cluster.learner_gpus)"
        )
    raise AzrError(
        f"{learner + replicas * share:g} GPUs are asked for and {there:g} can be used here: {' and '.join(asked)}",
        "ask for fewer, or for fractions that share a card (rollout.memory_fraction leaves the others room); "
        "azr doctor says what this machine has",
    )
