"""What an attempt earns: right, well-formed but wrong, malformed, or cut off.

Called by solvers once the verifier has spoken. A verdict that judges nothing (`azr.game.reasons.UNDECIDED`) earns
nothing either: it is an error to ask.
"""

from __future__ import annotations

from azr.config.sections.algorithm import SolverRewardConfig
from azr.game.reasons import UNDECIDED
from azr.game.types import Verdict


def solver_reward(verdict: Verdict, *, truncated: bool, config: SolverRewardConfig) -> float:
    """The reward of one judged attempt."""
    if verdict.reason in UNDECIDED:
        raise ValueError(
            f"an attempt whose verdict is `{verdict.reason}` has no reward: verify it again, or drop its whole group"
        )
    if truncated:
        return config.truncated
    if verdict.correct:
        return config.right
    return config.wrong if verdict.well_formed else config.malformed
