"""What a run's numbers say is wrong with it: in words, and when it is enough. Pure; asked by the driver.

Nothing here changes what is trained on: samples are refused, dropped and left out where they pass, and counted. But a
run that counts and goes on looks well from outside while it learns nothing, so what lasts is said.

    a step's metrics ───────────────► step ────► lines, at first and at each doubling ──✕ LogprobsBrokenError
    no step, what players counted ──► waiting ──► a line, after a minute and at each doubling
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from azr.errors import AzrError
from azr.run.console import NONE, largest

Values = Mapping[str, float]

#: Steps in a row after which it is said that no proposal was let in, or that nothing carried a gradient: a batch or two
#: without happens to the best.
FIRST_STEPS = 5
#: Steps in a row of which no sample had a sound log-prob, after which the run ends. Such a step changes no weights, and
#: engines that break under these weights break again; what was sampled before they did is used up by then.
BROKEN_STEPS = 3
#: Seconds without a step after which it is said.
WAIT_SECONDS = 60.0

_UNSOUND = "batch/broken/"


class LogprobsBrokenError(AzrError):
    """Engines return log-probs that are not numbers, and keep doing so."""


class Spell:
    """Something that has been so for some steps in a row: worth saying at `first`, and whenever it lasts twice as long
    as when it was said last."""

    def __init__(self, first: int) -> None:
        self.first, self.steps, self._said = first, 0, 0

    def lasts(self, true: bool) -> bool:
        """Take in a step; whether to say that it lasts."""
        self.steps = self.steps + 1 if true else 0
        if self.steps < max(self.first, 2 * self._said):
            return False
        self._said = self.steps
        return True

    def ends(self, true: bool) -> bool:
        """Whether a spell that was said is over with this step. Asked before `lasts`."""
        if true or not self._said:
            return False
        self._said = 0
        return True


class Alarms:
    """Remembers how long something has been wrong."""

    def __init__(self, parity_limit: float = math.inf) -> None:
        self._parity_limit = parity_limit
        self._apart = Spell(1)
        self._broken = Spell(1)
        self._refused = Spell(FIRST_STEPS)
        self._flat = Spell(FIRST_STEPS)
        self._unsound_steps = 0
        self._wait_said = 0.0

    def step(self, step: int, values: Values) -> list[str]:
        """What to say of a step. Raises when no sample of several steps was sound."""
        self._wait_said = 0.0
        lines = [
            *self._of_parity(values),
            *self._of_logprobs(values),
            *self._of_proposals(values),
            *self._of_gradients(values),
        ]
        return [f"step {step}: {line}" for line in lines]

    def waiting(self, seconds: float, count: Callable[[], Values]) -> str:
        """What to say when there was no step for so long; `count` gives what players told since the last one."""
        if seconds < max(WAIT_SECONDS, 2 * self._wait_said):
            return ""
        self._wait_said, counted = seconds, count()
        done = sum(value for name, value in counted.items() if name.startswith("player/done/"))
        failures = largest(counted, "player/failures/")
        replaced = counted.get("sandbox/workers_replaced", 0.0)
        return (
            f"no step for {seconds:.0f} s. Players finished {done:,.0f} pieces of work"
            + (f"; what failed: {failures}" if failures != NONE else "")
            + (f"; {replaced:,.0f} sandbox workers had to be replaced" if replaced else "")
        )

    def _of_parity(self, values: Values) -> list[str]:
        gap = values.get("off_policy/mismatch_k3")
        if gap is None:  # no token was sampled by this step's own weights
            return []
        apart = not gap <= self._parity_limit
        over, lasts = self._apart.ends(apart), self._apart.lasts(apart)
        if lasts:
            return [
                f"engine and learner differ by {gap:.2g} nats on the same tokens under the same weights"
                f" (run.parity_limit is {self._parity_limit:g}): weights may not arrive whole (weights.transport=shm"
                " goes by a file whose checksum is compared), or precision no longer does for what was learned"
            ]
        return ["engine and learner agree again"] if over else []

    def _of_logprobs(self, values: Values) -> list[str]:
        shares = [value for name, value in values.items() if name.startswith(_UNSOUND)]
        some = any(shares)
        over, lasts = self._broken.ends(some), self._broken.lasts(some)
        whole = bool(shares) and min(shares) >= 1.0
        self._unsound_steps = self._unsound_steps + 1 if whole else 0
        if self._unsound_steps >= BROKEN_STEPS:
            raise LogprobsBrokenError(
                f"the engines' log-probs are broken: in {self._unsound_steps} steps in a row no sample had sound ones,"
                " and nothing was trained on",
                "the weights have most likely grown out of bounds (loss and learner/grad_norm in metrics.jsonl; lower"
                " algorithm.optimiser.lr), or the engine's precision is to blame (rollout.dtype); azr train --resume"
                " goes on from the newest checkpoint, so take away those that were written since it began",
            )
        if lasts:
            parts = ", ".join(
                f"{name.removeprefix(_UNSOUND)} {value:.0%}"
                for name, value in sorted(values.items())
                if name.startswith(_UNSOUND) and value
            )
            return [f"engines returned log-probs that are no log-probs, and those samples are dropped: {parts}"]
        return ["the engines' log-probs are sound again"] if over else []

    def _of_proposals(self, values: Values) -> list[str]:
        shares = [value for name, value in values.items() if name.startswith("batch/valid/")]
        if not shares:  # a batch without proposals says nothing of them
            return []
        none = not any(shares)
        over, lasts = self._refused.ends(none), self._refused.lasts(none)
        if lasts:
            reasons = largest(values, "proposal/refused/")
            return [
                f"no proposal was let in for {self._refused.steps} steps"
                + (f" (refused: {reasons})" if reasons != NONE else "")
                + _answers(values)
                + "; the run goes on with the tasks there are"
            ]
        return ["proposals are let in again"] if over else []

    def _of_gradients(self, values: Values) -> list[str]:
        empty = values.get("learner/empty_step", 0.0) > 0.0
        over, lasts = self._flat.ends(empty), self._flat.lasts(empty)
        if lasts:
            flagged, taken = (
                sum(value for name, value in values.items() if name.startswith(prefix))
                for prefix in ("safety/quarantined/", "batch/sequences/")
            )
            why = (
                f"the safety watch kept {flagged:,.0f} responses of this one out of the gradient (some are in"
                " flagged.jsonl; safety.patterns may match too much)"
                if flagged > taken / 2
                else "all that was sampled for the same prompt or cell fared alike, so that no sample carries a"
                " gradient"
            )
            return [f"nothing was trained on for {self._flat.steps} steps: {why}"]
        return ["samples carry gradients again"] if over else []


def _answers(values: Values) -> str:
    """How solvers fare meanwhile: a model that proposes nothing need not be one of garbage."""
    garbled = [value for name, value in values.items() if name.startswith("batch/malformed/")]
    cut = [value for name, value in values.items() if name.startswith("solve/truncated/") and name.endswith("/solve")]
    if not garbled:
        return ""
    told = f"; of the answers {sum(garbled) / len(garbled):.0%} cannot be read"
    return told + (f", {sum(cut) / len(cut):.0%} are cut off at the length limit" if cut else "")
