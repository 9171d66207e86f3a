"""Losses by the names that the configuration uses. Adding one takes its file and a line here."""

from __future__ import annotations

from collections.abc import Callable

from azr.config.sections.algorithm import LossConfig
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
