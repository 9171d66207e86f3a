"""Whether a run computes on GPUs: one answer for Ray, engines and learner. Whether there are enough, `shares` says.

Called by `local_ray` for what its own Ray may hand out, and by `engines`, whose answer the driver hands to the learner.

    a Ray of its own ──► this machine has cards, and the environment is built for them? ─┬─ yes: Ray counts the cards
                                                                                         └─ no: Ray is told of none
    a joined cluster ──► does it have cards, or does the configuration count on them?
"""

from __future__ import annotations

from collections.abc import Mapping

from actors.engine.settings import has_gpu
from azr.config.root import Config


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
    return resources.get("GPU", 0.0) > 0.0 or config.rollout.gpus_per_replica > 0.0 or bool(config.cluster.gpu)


def ranks_on_gpus(config: Config, *, gpu: bool) -> bool:
    """Whether learner ranks are among what runs on GPUs; with `cluster.learner_gpus=0` they compute on cores."""
    return gpu and config.cluster.learner_gpus > 0.0
