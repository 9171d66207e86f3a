"""What a batch and its advantages look like, told to the metrics cell by cell. Called once a learner step."""

from __future__ import annotations

from math import sqrt

import numpy as np

from azr.advantages.baselines import Baselines
from azr.advantages.records import Advantages, Floats, Samples
from azr.metrics import Accumulator


def tell(
    metrics: Accumulator, samples: Samples, advantages: Advantages, weights: Floats, baselines: Baselines, step: int
) -> None:
    """Rewards, lengths, advantages and loss weights of each cell in the batch, and its running statistics after it."""
    for index, cell in enumerate(samples.cells):
        own = samples.cell == index
        label, count = str(cell), int(own.sum())
        if not count:
            continue
        for reward, length in zip(samples.rewards[own].tolist(), samples.lengths[own].tolist(), strict=True):
            metrics.add("reward/distribution", reward, label=label)
            metrics.add("batch/response_tokens", length, label=label)
        metrics.add("reward/mean", float(samples.rewards[own].mean()), label=label, weight=count)
        metrics.add("batch/sequences", count, label=label)
        metrics.add("batch/tokens", int(samples.lengths[own].sum()), label=label)
        metrics.add("batch/loss_weight", float(weights[own].mean()), label=label, weight=count)
        trained = own & advantages.trained
        metrics.add("advantage/without_variance", 1.0 - int(trained.sum()) / count, label=label, weight=count)
        if trained.any():
            values, kept = advantages.values[trained], int(trained.sum())
            metrics.add("advantage/mean", float(values.mean()), label=label, weight=kept)
            metrics.add("advantage/absolute", float(np.abs(values).mean()), label=label, weight=kept)
        if (baseline := baselines.of(cell)) is not None:
            metrics.add("reward/baseline", baseline.mean, label=label, at=step)
            metrics.add("reward/baseline_deviation", sqrt(baseline.variance), label=label, at=step)
