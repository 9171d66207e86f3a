"""What an attempt earns: right, well-formed but wrong, malformed, or cut off.

Called by solvers once the verifier has spoken. A verdict of `retry` decides nothing, so it earns nothing either: it
is an error to ask.
"""

from __future__ import annotations

from azr.config.sections.algorithm import SolverRewardConfig
from azr.game.types import Verdict

#: The verifier's word for an attempt it could not judge (a wall clock ran out, a worker died twice).
UNDECIDED = "retry"


def solver_reward(verdict: Verdict, *, truncated: bool, config: SolverRewardConfig) -> float:
    """The reward of one judged attempt."""
    if verdict.reason == UNDECIDED:
        raise ValueError("an attempt whose verdict is `retry` has no reward: verify it again, or drop its whole group")
    if truncated:
        return config.truncated
    if verdict.correct:
        return config.right
    return config.wrong if verdict.well_formed else config.malformed
