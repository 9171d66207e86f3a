"""Puts a loss and its corrections together.

Owns the order of computation. Called by the training loop: `factors` on the whole batch, or on whole sequences where no
correction asks for more, `loss` once a micro-batch. Which loss goes with which weight is decided before, by
`azr.config.sections.algorithm_rules`.

    before its loss   log π_prox - log μ ──► corrections ──► weight of each token (product)
    each micro-batch  log π_θ ──► loss(weight) ──► Σ coefficient · loss ──► backward
"""

from __future__ import annotations

from collections.abc import MutableMapping

import torch
from torch import Tensor

from azr.config.sections.algorithm import LossConfig
from learner.corrections.base import Ratios
from learner.corrections.registry import WHOLE_BATCH, configured_corrections
from learner.losses.base import Share, TokenBatch, mean_of
from learner.losses.registry import make_loss

#: Metrics of the product of all factors, of which `effective_share` makes one number.
PRODUCT, PRODUCT_SQUARED = "product", "product_squared"


class Objective:
    """A loss with its corrections, as configured."""

    def __init__(self, config: LossConfig) -> None:
        self._loss = make_loss(config)
        self._corrections = configured_corrections(config)
        self.whole_batch = any(name in WHOLE_BATCH for name in self._corrections)
        """Whether a correction wants all tokens of the step at once, before the first update."""

    def factors(self, ratios: Ratios) -> tuple[Tensor, dict[str, Share]]:
        """The product of all corrections' factors for each token, and their metrics by name; without any, ones."""
        weight = torch.ones_like(ratios.log_ratio)
        metrics: dict[str, Share] = {}
        for name, correction in self._corrections.items():
            factor = correction(ratios)
            weight = weight * factor.values
            metrics |= {f"{name}/{key}": share for key, share in factor.metrics.items()}
        if not self._corrections:
            return weight, metrics
        return weight, metrics | {PRODUCT: mean_of(weight), PRODUCT_SQUARED: mean_of(weight.square())}

    def loss(self, batch: TokenBatch, weight: Tensor, sequence_coefficients: Tensor) -> tuple[Tensor, dict[str, Share]]:
        """The micro-batch's part of the mini-batch's loss (see `learner.aggregation`), and the loss's metrics."""
        output = self._loss(batch, weight)
        coefficients = sequence_coefficients.to(output.per_token.dtype)[batch.sequence]
        return (coefficients * output.per_token).sum(), output.metrics


def effective_share(metrics: MutableMapping[str, float], prefix: str) -> float | None:
    """Take the two means of the product out of a step's metrics: the effective sample size of the tokens under it, as a
    share of them, (Σw)² / (n Σw²). None where no factor was made; 0 where all is masked."""
    mean, squared = metrics.pop(prefix + PRODUCT, None), metrics.pop(prefix + PRODUCT_SQUARED, None)
    if mean is None or squared is None:
        return None
    return mean**2 / squared if squared > 0.0 else 0.0
