"""Every word with which the game says no, in one place: what parsers, the gate and the verifier answer.

Words are stable and machine-readable: they are counted per cell, written to metrics and printed by `azr gate` and
`azr verify`. `MEANINGS` explains each; a test holds the two in step.

      response ──parse──► candidate ──gate──► Task            ParseReason, GateReason  (Refusal.reason)
      response ──parse──► answer ──verify──► Verdict           VerdictReason            (Verdict.reason)
"""

from __future__ import annotations

from typing import Literal

from azr.game.types import Refusal
from azr.text import shortened

#: The response does not hold what was asked for; read from its text alone.
ParseReason = Literal[
    "thought_unfinished",
    "no_answer_tag",
    "answer_unfinished",
    "empty_answer",
    "no_program",
    "no_input",
    "no_message",
    "input_count",
    "too_long",
    "surrogate",
]

#: A line of a published seed file is not one.
ImportReason = Literal["not_a_seed"]

#: The gate's refusals of what was read.
GateReason = Literal[
    "syntax",
    "no_entry",
    "too_deep",
    "too_large",
    "null_byte",
    "no_parameters",
    "banned",
    "held_out",
    "input_not_literal",
    "error",
    "timeout",
    "memory",
    "opaque",
    "crashed",
    "retry",
    "nondeterministic",
    "round_trip",
    "output_too_long",
    "prompt_too_long",
    "answer_unreadable",
    "control_token",
    "duplicate",
    "hidden_input_shown",
    "constant_output",
    "message_holds_program",
    "environment_error",
    "error_name",
    "no_component",
    "component_misused",
    "component_unused",
    "component_redefined",
]

#: How an attempt was judged; a malformed one is `malformed:` and the parser's or reader's word.
VerdictReason = Literal[
    "correct",
    "wrong",
    "error",
    "timeout",
    "memory",
    "opaque",
    "crashed",
    "retry",
    "truncated",
    "unreadable_expected",
    "unreadable_input",
]

#: What stands after `malformed:` besides the parse reasons and the reasons a program does not parse.
MalformedReason = Literal["not_literal", "not_error_name"]

#: Refusals of the frame: the tags around the answer are wrong, whatever the answer is.
TAG_REASONS: frozenset[str] = frozenset({"thought_unfinished", "no_answer_tag", "answer_unfinished"})

#: What stands before the reason in the verdict of an answer that could not be read.
MALFORMED = "malformed:"

#: A job of ours came to nothing: the clock ran out on a busy machine, or an interpreter broke. No fault but ours.
STUMBLES: frozenset[str] = frozenset({"retry", "crashed"})

#: Verdicts that judge nothing, because the machine stumbled or the task itself is broken. They are paid nothing: the
#: attempt is verified again, or its whole group is dropped.
UNDECIDED: frozenset[str] = STUMBLES | {"unreadable_expected", "unreadable_input"}

MEANINGS: dict[str, str] = {
    "thought_unfinished": "the response opens its thoughts and never closes them",
    "no_answer_tag": "the frame asks for an answer tag after the thoughts; there is none",
    "answer_unfinished": "the answer tag is never closed",
    "empty_answer": "nothing stands where the answer should",
    "no_program": "no block holds a program",
    "no_input": "no block holds an input",
    "no_message": "no block holds a message, or it is empty",
    "input_count": "not exactly the number of inputs that was asked for",
    "too_long": "longer than any text the game reads",
    "surrogate": "holds a lone surrogate, which no encoding can carry",
    "not_a_seed": "the line is no seed of a published file",
    "syntax": "the program does not parse",
    "no_entry": "the program defines no function f at its top level",
    "too_deep": "the program nests too deeply to be parsed safely",
    "too_large": "the program, the answer or its value is too large to be read",
    "null_byte": "holds a null byte",
    "no_parameters": "f takes no parameter, so there is nothing to predict from or to search for",
    "banned": "uses a module or a name that tasks may not use",
    "held_out": "the program is one that evaluation asks about",
    "input_not_literal": "an input is not a list of literal arguments",
    "error": "the run ended with an exception, or the program left its interpreter",
    "timeout": "the run used up its fuel, or waited for what nobody would give it",
    "memory": "the run used up its memory",
    "opaque": "the value has no literal form, or too long a one",
    "crashed": "the interpreter broke and a second one did not, or the worker died on it, twice",
    "surplus": "the target was reached before it",
    "retry": "the machine was too busy to tell; ask again, nothing was decided",
    "nondeterministic": "runs with other hash seeds, random seeds, clocks or limits ended otherwise",
    "round_trip": "reading the value's literal form gives another value",
    "output_too_long": "the solver could not write the output",
    "prompt_too_long": "the solver could not be shown the task",
    "answer_unreadable": "the right answer, written as the solver is asked to, would be read as another one or as none",
    "control_token": "holds the text of a token that the model knows turns and ends by, and would be shown that token",
    "duplicate": "the task is known already",
    "hidden_input_shown": "a hidden input equals one that is shown",
    "constant_output": "all inputs give one and the same output",
    "message_holds_program": "the message gives code away",
    "environment_error": "the run ended by the interpreter's limits or by leaving it, not by an exception of its own",
    "error_name": "the exception's class has no plain name of its own",
    "no_component": "a composite function builds on given ones; none was given",
    "component_misused": "a given function is used otherwise than by calling it",
    "component_unused": "f does not call every given function with values of its own",
    "component_redefined": "a given function, or a name that it is made of, is defined anew beside it",
    "correct": "the answer holds",
    "wrong": "the answer was understood and does not hold",
    "truncated": "the response was cut at its length limit",
    "unreadable_expected": "the task's own output is no literal, so no answer can be judged",
    "unreadable_input": "the task's own input is no list of literal arguments",
    "not_literal": "the answer is not one literal (or list of literal arguments)",
    "not_error_name": "the answer is not the name of an exception class",
}

#: Characters of hostile detail that are kept with a reason.
DETAIL_WIDTH = 300


def refused(reason: ParseReason | GateReason | ImportReason, detail: str = "") -> Refusal:
    """A refusal whose detail is bounded and cannot act on a terminal."""
    return Refusal(reason, clean(detail))


def clean(detail: str) -> str:
    """Hostile text as one bounded printable line."""
    return shortened(detail, DETAIL_WIDTH)


def explained(*reasons: str) -> str:
    """A table of reasons and what they mean."""
    width = max(map(len, reasons))
    return "\n".join(f"{reason:<{width}}  {MEANINGS[reason]}" for reason in reasons)
