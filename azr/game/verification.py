"""Judging answers: the steps from an answer's text to a Verdict.

An answer is data (one literal, or a list of arguments) or, in induction, a program; data is read by the guest without
running anything, programs run in a pristine interpreter. What comes back is canonical text, and the comparison with the
expected value is a comparison of strings here, where no model-written code has ever run. Called by the task types.

    answer ─► text ─► LiteralJob ─────────────────────► key ─┐
              host       └─► RunJob (abduction) ──────► key ─┤ == expected key ?  ─► Verdict
    answer ─► text ─► RunJob (induction) ─────────────► keys ┘

What is our failure decides nothing about an answer: such verdicts carry a word of `reasons.UNDECIDED`, and the caller
asks again or drops the attempt's whole group.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from azr.config.root import Config
from azr.game import plan
from azr.game.gate import MAX_TEXT, refusal_of_text
from azr.game.limits import limits_of
from azr.game.plan import Plan
from azr.game.reasons import MALFORMED, STUMBLES, UNDECIDED, VerdictReason, clean
from azr.game.types import Task, Verdict
from sandbox_wasm.protocol import Limits, LiteralJob, Outcome, RunJob, Status, Value

Equality = Literal["python", "exact"]

#: How a run that gave no value ended, as a verdict's reason.
_ENDINGS: dict[Status, VerdictReason] = {
    "ok": "crashed",  # no value and yet well: only a back end that is broken says so
    "error": "error",
    "timeout": "timeout",
    "memory": "memory",
    "refused": "error",  # whoever made the task has read its inputs as data: only a hijacked guest says so of a run
    "crashed": "crashed",
    "opaque": "opaque",
    "retry": "retry",
}

CORRECT = Verdict(correct=True, well_formed=True, reason="correct")


class VerifyRules(msgspec.Struct, frozen=True, kw_only=True):
    """What runs may use, and when two values are the same."""

    limits: Limits = Limits()
    equality: Equality = "python"
    """`python`: as `==` says on built-in types, and nan equals nan; `exact`: type by type, sign of zero included."""

    @classmethod
    def of(cls, config: Config) -> VerifyRules:
        """The rules of a configuration."""
        return cls(limits=limits_of(config.sandbox), equality=msgspec.convert(config.gating.equality, Equality))

    def form(self, value: Value) -> str:
        """The text by which a value is compared."""
        return value.key if self.equality == "python" else value.exact


def malformed(reason: str, detail: str = "") -> Verdict:
    """The answer is not of the kind that was asked for."""
    return Verdict(correct=False, well_formed=False, reason=f"{MALFORMED}{reason}", detail=clean(detail))


def fell_short(reason: str, detail: str = "") -> Verdict:
    """The answer was understood and does not hold, or nothing could be decided (`reasons.UNDECIDED`)."""
    return Verdict(correct=False, well_formed=True, reason=reason, detail=clean(detail))


def expected_forms(task: Task, rules: VerifyRules) -> Plan[tuple[str, ...] | Verdict]:
    """The texts the answers' values must equal; read from the outputs where the task does not carry them.

    Always read for `exact`: the keys a task carries are those of Python's equality.
    """
    if rules.equality == "python" and len(task.output_keys) == len(task.outputs):
        return task.output_keys
    (result,) = yield from plan.read(LiteralJob(texts=task.outputs, output_bytes=_longest_value(rules)))
    forms = []
    for text, outcome in zip(task.outputs, result.outcomes, strict=True):
        if outcome.status in STUMBLES:
            return fell_short(outcome.status, outcome.error)
        if outcome.value is None:
            return fell_short("unreadable_expected", f"{text[:100]}: {outcome.error}")
        forms.append(rules.form(outcome.value))
    return tuple(forms)


def _longest_value(rules: VerifyRules) -> int:
    """As long a text as a run may give and an answer may be, whichever is more."""
    return max(rules.limits.output_bytes, MAX_TEXT)


def unreadable_input(inputs: Sequence[str]) -> Plan[Verdict | None]:
    """Whether an input of a task that no gate has seen is no list of literal arguments.

    To be asked where tasks come from elsewhere, before an answer's program runs: afterwards nobody can be believed.
    """
    (result,) = yield from plan.read(LiteralJob(texts=tuple(inputs), form="arguments", output_bytes=MAX_TEXT))
    for text, outcome in zip(inputs, result.outcomes, strict=True):
        if outcome.status in STUMBLES:
            return fell_short(outcome.status, outcome.error)
        if outcome.value is None:
            return fell_short("unreadable_input", f"{text[:100]}: {outcome.error}")
    return None


def read_answer(answer: str, form: Literal["value", "arguments"], rules: VerifyRules) -> Plan[Value | Verdict]:
    """The answer's text as data."""
    if (refusal := refusal_of_text(answer)) is not None:
        return malformed(refusal.reason, refusal.detail)
    longest = _longest_value(rules) if form == "value" else MAX_TEXT  # a run reads no longer arguments
    (result,) = yield from plan.read(LiteralJob(texts=(answer,), form=form, output_bytes=longest))
    (outcome,) = result.outcomes
    if outcome.value is not None:
        return outcome.value
    if outcome.status in STUMBLES:
        return fell_short(outcome.status, outcome.error)
    return malformed("too_large" if outcome.status == "opaque" else "not_literal", outcome.error)


def run_answer(program: str, inputs: Sequence[str], rules: VerifyRules) -> Plan[tuple[Outcome, ...]]:
    """A program's outcomes on inputs that are known to be literal arguments."""
    (result,) = yield from plan.run(RunJob(program=program, inputs=tuple(inputs), limits=rules.limits))
    return result.outcomes


def gives_expected(program: str, inputs: Sequence[str], expected: Sequence[str], rules: VerifyRules) -> Plan[Verdict]:
    """Run on the first input, and on the others only where that went well: most wrong answers fail at once.

    Where nothing was decided the whole is asked again: to run the rest now, each perhaps as long, would be for nothing.
    """
    outcomes = yield from run_answer(program, inputs[:1], rules)
    verdict = compare(outcomes, expected[:1], rules, pairs=len(expected))
    if len(inputs) > 1 and verdict.correct:
        outcomes += yield from run_answer(program, inputs[1:], rules)
        verdict = compare(outcomes, expected, rules, pairs=len(expected))
    return verdict


def compare(outcomes: Sequence[Outcome], expected: Sequence[str], rules: VerifyRules, *, pairs: int = 1) -> Verdict:
    """Correct when every run gave the expected value. A wrong one decides, even where another is undecided.

    `pairs` is how many there are in all, for the wording.
    """
    if not expected:  # nothing that could fail would make every answer right
        return fell_short("unreadable_expected", "there is no pair to judge by")
    undecided: Verdict | None = None
    for number, (outcome, form) in enumerate(zip(outcomes, expected, strict=True), start=1):
        where = f"pair {number} of {pairs}: " if pairs > 1 else ""
        if outcome.value is not None:
            if rules.form(outcome.value) != form:
                return fell_short("wrong", f"{where}gives {outcome.value.literal[:200]}")
            continue
        ended = fell_short(_ENDINGS[outcome.status], f"{where}{outcome.error}")
        if ended.reason not in UNDECIDED:
            return ended
        undecided = ended
    return undecided or CORRECT
