"""Corrections by the names that the configuration uses. Adding one takes its file and a line here."""

from __future__ import annotations

from collections.abc import Callable

from azr.config.sections.algorithm import LossConfig
from learner.corrections.base import Correction
from learner.corrections.geometric_mask import GeometricMask
from learner.corrections.icepop import IcePop
from learner.corrections.k3_mask import K3Mask
from learner.corrections.m2po import M2po
from learner.corrections.negative_sequence_mask import NegativeSequenceMask
from learner.corrections.sequence_tis import SequenceTis
from learner.corrections.token_tis import TokenTis
from learner.corrections.vtrace import Vtrace

#: At most one of these: each undoes the data's age.
WEIGHTS: dict[str, Callable[[LossConfig], Correction]] = {
    "token_tis": TokenTis.of,
    "sequence_tis": SequenceTis.of,
    "icepop": IcePop.of,
    "vtrace": Vtrace.of,
}

#: Any number of these: each leaves something out.
MASKS: dict[str, Callable[[LossConfig], Correction]] = {
    "geometric": GeometricMask.of,
    "k3": K3Mask.of,
    "negative_sequence": NegativeSequenceMask.of,
    "m2po": M2po.of,
}

#: Masks whose rule is over all tokens of a step's batch at once; the others look at a token or a sequence.
WHOLE_BATCH = ("m2po",)


def configured_corrections(config: LossConfig) -> dict[str, Correction]:
    """The configured weight, if any, and masks, by name."""
    weights = {} if config.weight == "none" else {config.weight: WEIGHTS[config.weight](config)}
    return weights | {name: MASKS[name](config) for name in config.masks}
