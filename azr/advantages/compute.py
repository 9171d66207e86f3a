"""Advantages of a whole batch: each role by its own estimator, each cell by its own statistics.

Called once a learner step on the batch as it left the experience service, before it is cut into mini-batches and ranks,
so that the cut changes nothing.
"""

from __future__ import annotations

import numpy as np

from azr.advantages.baselines import Baseline, Baselines
from azr.advantages.estimators import ESTIMATORS
from azr.advantages.moments import Moments, blended, moments
from azr.advantages.records import Advantages, Floats, Samples, Statistics
from azr.config.sections.algorithm import AdvantagesConfig, EstimatorConfig
from azr.game.types import Cell


def compute(samples: Samples, config: AdvantagesConfig, baselines: Baselines) -> tuple[Advantages, Baselines]:
    """The batch's advantages, in order, and the running statistics after it.

    Roles with the same estimator are estimated together, which only matters to those that whiten over the batch.
    """
    values = np.zeros(len(samples))
    trained = np.ones(len(samples), dtype=np.bool_)
    proposing = np.array([cell.role == "propose" for cell in samples.cells], dtype=np.bool_)[samples.cell]
    if config.propose == config.solve:
        parts = [(np.ones(len(samples), dtype=np.bool_), config.solve)]
    else:
        parts = [(proposing, config.propose), (~proposing, config.solve)]
    for chosen, estimator in parts:
        part, baselines = estimate(samples.only(chosen), estimator, baselines)
        values[chosen], trained[chosen] = part.values, part.trained
    if config.limit > 0.0:
        values = values.clip(-config.limit, config.limit)
    return Advantages(values=values, trained=trained), baselines


def estimate(samples: Samples, config: EstimatorConfig, baselines: Baselines) -> tuple[Advantages, Baselines]:
    """Advantages by one estimator, and the running statistics after these samples."""
    weights = samples.lengths.astype(np.float64) if config.weighting == "token" else np.ones(len(samples))
    batch = moments(samples.rewards, weights, samples.cell, len(samples.cells))
    now = _with_running(samples, batch, baselines, config.running_weight)
    statistics = Statistics(weights=weights, mean=now.mean, variance=now.variance, epsilon=config.epsilon)
    return ESTIMATORS[config.name](samples, statistics), baselines.updated(_kept(samples, now, baselines))


def _with_running(samples: Samples, batch: Moments, baselines: Baselines, running_weight: float) -> Moments:
    """The batch's moments blended with the running ones, which count for no more sequences than they are of; a cell
    seen for the first time has none."""
    known = [baselines.of(cell) for cell in samples.cells]
    counted = [min(running_weight, float(baseline.sequences)) if baseline else 0.0 for baseline in known]
    return blended(
        batch,
        running_mean=_column([baseline.mean if baseline else 0.0 for baseline in known]),
        running_variance=_column([baseline.variance if baseline else 0.0 for baseline in known]),
        running_weight=_column(counted),
    )


def _kept(samples: Samples, now: Moments, baselines: Baselines) -> dict[Cell, Baseline]:
    kept: dict[Cell, Baseline] = {}
    for index, cell in enumerate(samples.cells):
        if count := int(now.sequences[index]):
            before = baselines.of(cell)
            seen = count + (before.sequences if before else 0)
            kept[cell] = Baseline(mean=float(now.mean[index]), variance=float(now.variance[index]), sequences=seen)
    return kept


def _column(values: list[float]) -> Floats:
    return np.array(values, dtype=np.float64)
