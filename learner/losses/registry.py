"""Losses by the names that the configuration uses: adding one takes its file and a line here, or a plug-in."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from azr.config.sections.algorithm import LossConfig
from azr.plugins import LOSSES as GROUP
from azr.plugins import load_plugin
from learner.losses.base import Loss
from learner.losses.cispo import Cispo
from learner.losses.decoupled_ppo import DecoupledPpo
from learner.losses.dppo_tv import DppoTv
from learner.losses.gspo import Gspo
from learner.losses.ppo import Ppo
from learner.losses.reinforce import Reinforce

LOSSES: dict[str, Callable[[LossConfig], Loss]] = {
    "ppo": Ppo.of,
    "decoupled_ppo": DecoupledPpo.of,
    "cispo": Cispo.of,
    "gspo": Gspo.of,
    "dppo_tv": DppoTv.of,
    "reinforce": Reinforce.of,
}


def make_loss(config: LossConfig) -> Loss:
    """The configured loss; one of ours goes before a plug-in of the same name."""
    if config.name in LOSSES:
        return LOSSES[config.name](config)
    make = cast(Callable[[LossConfig], Loss], load_plugin(GROUP, config.name, "algorithm.loss.name", LOSSES))
    return make(config)
