"""What an attempt earns: right, wrong, malformed, or cut off.

Called by solvers once the verifier has spoken. A verdict that judges nothing (`azr.game.reasons.UNDECIDED`) earns
nothing either: it is an error to ask.
"""

from __future__ import annotations

from azr.config.sections.algorithm import SolverRewardConfig
from azr.game.reasons import MALFORMED, TAG_REASONS, UNDECIDED
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
    return config.malformed if _is_malformed(verdict, config) else config.wrong


def _is_malformed(verdict: Verdict, config: SolverRewardConfig) -> bool:
    """Whether the answer could not be read, or (`tags`) not even be found."""
    found = verdict.reason.removeprefix(MALFORMED) not in TAG_REASONS
    return not verdict.well_formed and not (found and config.malformed_means == "tags")
