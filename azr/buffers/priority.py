"""What makes a task worth training on: small pure formulas over whole columns.

Called by `azr.buffers.task_buffer` for single tasks when they change and for all once a learner step.

    priority = learnability(evidence, its age) · novelty(copies) · freshness(visits)

The priority decides what is drawn and, at capacity, what leaves. It changes what is trained on, on purpose: the aim is
a curriculum, not an estimate of an average over the buffer, so no importance weight undoes it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Column = npt.NDArray[np.float64]


def discount(age: npt.ArrayLike, half_life: float) -> Column:
    """What evidence of this age still counts: 2^(−age / half_life), age in learner steps."""
    return np.exp2(-np.maximum(np.asarray(age, np.float64), 0.0) / half_life)


def learnability(right: npt.ArrayLike, wrong: npt.ArrayLike, age: npt.ArrayLike, half_life: float) -> Column:
    """The expected 4p(1−p) of a task solved with probability p, given right and wrong attempts of this age.

    With Jeffreys' prior, p has the posterior Beta(a, b), a = ½ + right·d, b = ½ + wrong·d, d the discount; then
    E[4p(1−p)] = 4ab / ((a + b)(a + b + 1)). 0.9 for 4 of 8, 0.19 for 0 of 8, and 0.5 for a task never tried. As
    evidence ages, each returns to 0.5: a task once hopeless or trivial gets a second chance, one once ideal must prove
    itself anew.
    """
    share = discount(age, half_life)
    a = 0.5 + np.asarray(right, np.float64) * share
    b = 0.5 + np.asarray(wrong, np.float64) * share
    return 4.0 * a * b / ((a + b) * (a + b + 1.0))


def novelty(copies: npt.ArrayLike, exponent: float) -> Column:
    """copies^−exponent: tasks that share a program share the attention that program gets."""
    return np.asarray(copies, np.float64) ** -exponent


def freshness(visits: npt.ArrayLike, exponent: float) -> Column:
    """(1 + visits)^−exponent: what was trained on often has less left to give."""
    return (1.0 + np.asarray(visits, np.float64)) ** -exponent


def recency(age: npt.ArrayLike, half_life: float, floor: float) -> Column:
    """How likely a task is to be shown as a reference: floor + (1 − floor)·2^(−age / half_life)."""
    return floor + (1.0 - floor) * discount(age, half_life)
