"""Puts a loss and its corrections together.

Owns the order of computation. Called by the training loop: `factors` on the whole batch, or on whole sequences where no
correction asks for more, `loss` once a micro-batch. Which loss goes with which weight is decided before, by
`azr.config.sections.algorithm_rules`.

    before its loss   log π_prox - log μ ──► corrections ──► weight of each token (product)
    each micro-batch  log π_θ ──► loss(weight) ──► Σ coefficient · loss ──► backward
"""

from __future__ import annotations

import torch
from torch import Tensor

from azr.config.sections.algorithm import LossConfig
from learner.corrections.base import Ratios
from learner.corrections.registry import WHOLE_BATCH, configured_corrections
from learner.losses.base import Share, TokenBatch
from learner.losses.registry import make_loss


class Objective:
    """A loss with its corrections, as configured."""

    def __init__(self, config: LossConfig) -> None:
        self._loss = make_loss(config)
        self._corrections = configured_corrections(config)
        self.whole_batch = any(name in WHOLE_BATCH for name in self._corrections)
        """Whether a correction wants all tokens of the step at once, before the first update."""

    def factors(self, ratios: Ratios) -> tuple[Tensor, dict[str, Share]]:
        """The product of all corrections' factors for each token, and their metrics by name."""
        weight = torch.ones_like(ratios.log_ratio)
        metrics: dict[str, Share] = {}
        for name, correction in self._corrections.items():
            factor = correction(ratios)
            weight = weight * factor.values
            metrics |= {f"{name}/{key}": share for key, share in factor.metrics.items()}
        return weight, metrics

    def loss(self, batch: TokenBatch, weight: Tensor, sequence_coefficients: Tensor) -> tuple[Tensor, dict[str, Share]]:
        """The micro-batch's part of the mini-batch's loss (see `learner.aggregation`), and the loss's metrics."""
        output = self._loss(batch, weight)
        coefficients = sequence_coefficients.to(output.per_token.dtype)[batch.sequence]
        return (coefficients * output.per_token).sum(), output.metrics
