"""Means and variances of rewards by cell and by group. Pure functions of arrays; called by every estimator."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from azr.advantages.records import Flags, Floats, Integers


class Moments(NamedTuple):
    """Of each segment: how many sequences, their weighted mean and variance."""

    sequences: Integers
    mean: Floats
    variance: Floats


def moments(rewards: Floats, weights: Floats, segment: Integers, segments: int) -> Moments:
    """Weighted mean and variance of each segment; an empty one has mean and variance 0.

    A weight is a number of equal observations (1, or a response's tokens), so that Bessel's correction divides by the
    total weight less one; a single observation has variance 0.
    """
    total = np.bincount(segment, weights=weights, minlength=segments)
    mean = np.bincount(segment, weights=weights * rewards, minlength=segments) / np.maximum(total, 1.0)
    squares = np.bincount(segment, weights=weights * (rewards - mean[segment]) ** 2, minlength=segments)
    variance = squares / np.where(total > 1.0, total - 1.0, 1.0)
    return Moments(np.bincount(segment, minlength=segments), mean, variance)


def blended(batch: Moments, running_mean: Floats, running_variance: Floats, running_weight: Floats) -> Moments:
    """(n·batch + w·running) / (n + w), of the mean and, with the spread between the two means, of the variance.

    Where both n and w are 0 the running values stay.
    """
    share = batch.sequences / np.where(batch.sequences + running_weight > 0.0, batch.sequences + running_weight, 1.0)
    mean = running_mean + share * (batch.mean - running_mean)
    within = running_variance + share * (batch.variance - running_variance)
    between = share * (1.0 - share) * (batch.mean - running_mean) ** 2
    return Moments(batch.sequences, mean, within + between)


def without_variance(rewards: Floats, group: Integers) -> Flags:
    """For each sequence, whether all rewards of its group are exactly equal."""
    groups = int(group.max()) + 1 if len(group) else 0
    lowest, highest = np.full(groups, np.inf), np.full(groups, -np.inf)
    np.minimum.at(lowest, group, rewards)
    np.maximum.at(highest, group, rewards)
    flat: Flags = lowest == highest
    return flat[group]


def group_mean(rewards: Floats, group: Integers) -> Floats:
    """For each sequence, the mean reward of its group, itself included."""
    mean: Floats = np.bincount(group, weights=rewards) / np.maximum(np.bincount(group), 1)
    return mean[group]


def others_mean(rewards: Floats, group: Integers) -> Floats:
    """For each sequence, the mean reward of the others in its group; its own where there is no other."""
    count = np.bincount(group)[group]
    total = np.bincount(group, weights=rewards)[group]
    return np.where(count > 1, (total - rewards) / np.maximum(count - 1, 1), rewards)
