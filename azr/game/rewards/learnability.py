"""Learnability: what a task is worth to the solver, from k right answers in n attempts. 0 when none or all are right.

Four pure functions of (k, n); `proposer.py` chooses one by name and replaces the extremes by `at_extremes`.

      1 ┤      one_minus_mean ＼      variance ⌒ (p = ½)      target_rate ∧ (p = target)
        │                      ＼
      0 ┼──┬──────────────────────┬── p = k/n
           0                      1
"""

from __future__ import annotations

from collections.abc import Callable

Learnability = Callable[[int, int, float], float]


def variance(right: int, attempts: int, target: float = 0.5) -> float:  # noqa: ARG001 - one signature for all
    """4k(n-k) / (n(n-1)): its expectation over attempts is exactly 4p(1-p), whatever n.

    The plug-in estimate 4(k/n)(1-k/n) is too small by the factor (n-1)/n; this is it times n/(n-1). Peak slightly above
    1 (8/7 for n = 8), the price of having no bias.
    """
    if attempts < 2:
        raise ValueError(f"`variance` needs two attempts at least, not {attempts}: raise rating.attempts")
    return 4.0 * right * (attempts - right) / (attempts * (attempts - 1))


def one_minus_mean(right: int, attempts: int, target: float = 0.5) -> float:  # noqa: ARG001
    """1 - k/n: the paper's. Harder is better until nobody succeeds; highest for one lucky attempt."""
    return 0.0 if right == 0 else 1.0 - right / attempts


def min_p(right: int, attempts: int, target: float = 0.5) -> float:  # noqa: ARG001
    """min(p, 1-p) with p = k/n: R-Zero's. Not normalised: its peak is ½, half of what the others pay at theirs."""
    return min(right, attempts - right) / attempts


def target_rate(right: int, attempts: int, target: float = 0.5) -> float:
    """1 - |p - t| / max(t, 1-t): 1 at the wanted rate t, falling linearly to 0 at the end farther from it."""
    if right in (0, attempts):
        return 0.0
    return 1.0 - abs(right / attempts - target) / max(target, 1.0 - target)


LEARNABILITIES: dict[str, Learnability] = {
    "variance": variance,
    "one_minus_mean": one_minus_mean,
    "min_p": min_p,
    "target_rate": target_rate,
}
