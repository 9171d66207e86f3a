"""The losses once more, written independently in float64 numpy, token by token, from the formulas."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from learner.losses.base import TokenBatch

Row = dict[str, float]


def _rows(batch: TokenBatch, weight: np.ndarray) -> list[Row]:
    columns = {
        "theta": batch.current.detach().numpy(),
        "prox": batch.proximal.numpy(),
        "mu": batch.behaviour.numpy(),
        "adv": batch.advantages.numpy(),
        "w": weight,
        "seq": batch.sequence.numpy(),
    }
    return [{name: float(column[t]) for name, column in columns.items()} for t in range(len(weight))]


def _clip_objective(ratio: float, advantage: float, low: float, high: float, dual: float | None) -> float:
    bounded = min(max(ratio, 1 - low), 1 + high)
    objective = min(ratio * advantage, bounded * advantage)
    if dual is not None and advantage < 0:
        objective = max(objective, dual * advantage)
    return objective


def ppo(row: Row, _rows: list[Row]) -> float:
    return -row["w"] * _clip_objective(math.exp(row["theta"] - row["mu"]), row["adv"], 0.2, 0.28, 3.0)


def decoupled_ppo(row: Row, _rows: list[Row]) -> float:
    return -row["w"] * _clip_objective(math.exp(row["theta"] - row["prox"]), row["adv"], 0.2, 0.28, 3.0)


def cispo(row: Row, _rows: list[Row]) -> float:
    return -row["w"] * min(math.exp(row["theta"] - row["mu"]), 5.0) * row["adv"] * row["theta"]


def gspo(row: Row, rows: list[Row]) -> float:
    own = [other for other in rows if other["seq"] == row["seq"]]
    ratio = math.exp(sum(other["theta"] - other["prox"] for other in own) / len(own))
    return -row["w"] * _clip_objective(ratio, row["adv"], 3e-4, 4e-4, None)


def dppo_tv(row: Row, _rows: list[Row]) -> float:
    moved = math.exp(row["theta"]) - math.exp(row["mu"])
    outside = (row["adv"] > 0 and moved > 0.2) or (row["adv"] < 0 and moved < -0.2)
    objective = 0.0 if outside else min(math.exp(row["theta"] - row["mu"]), 20.0) * row["adv"]
    return row["w"] * (1e-3 * (row["theta"] - row["mu"]) ** 2 - objective)


def reinforce(row: Row, _rows: list[Row]) -> float:
    return -row["w"] * row["adv"] * row["theta"]


REFERENCES: dict[str, Callable[[Row, list[Row]], float]] = {
    "ppo": ppo,
    "decoupled_ppo": decoupled_ppo,
    "cispo": cispo,
    "gspo": gspo,
    "dppo_tv": dppo_tv,
    "reinforce": reinforce,
}


def per_token(name: str, batch: TokenBatch, weight: np.ndarray) -> np.ndarray:
    """The named loss of each token."""
    rows = _rows(batch, weight)
    return np.array([REFERENCES[name](row, rows) for row in rows])
