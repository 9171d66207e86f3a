"""The two acts from end to end: a response becomes a task, or an attempt becomes a verdict, through a frame."""

from __future__ import annotations

import pytest

from azr.game import frames
from azr.game.frames import frame
from azr.game.gate import GateRules
from azr.game.plan import drive, drive_async
from azr.game.play import facts_of_all, judge_attempt, judge_proposal, propose_prompt, reads_back, solve_prompt
from azr.game.tasks import Ask, TaskType, task_type
from azr.game.tasks.base import KnowsAnAnswer
from azr.game.tasks.composite import assembled
from azr.game.types import Candidate, Refusal, Task, Verdict
from azr.game.verification import VerifyRules
from sandbox_wasm.protocol import Sandbox

R1, COMPACT = frame("r1"), frame("compact")
PROPOSED = "I think. </think>\n<answer>\n```python\ndef f(a):\n    return a * 2\n```\n```input\n'ab'\n```\n</answer>"


def test_a_proposal_becomes_a_task(sandbox: Sandbox) -> None:
    accepted = drive(judge_proposal(task_type("deduction"), PROPOSED, Ask(), R1, GateRules()), sandbox)
    assert isinstance(accepted, Task)
    assert accepted.outputs == ("'abab'",)
    assert accepted.output_types == ("str",)


async def test_a_proposal_becomes_a_task_beside_a_running_loop(sandbox: Sandbox) -> None:
    accepted = await drive_async(judge_proposal(task_type("abduction"), PROPOSED, Ask(), R1, GateRules()), sandbox)
    assert isinstance(accepted, Task)
    assert accepted.task_type == "abduction"


def test_the_facts_of_programs_that_passed_the_gate_come_in_one_round(sandbox: Sandbox) -> None:
    programs = ["def f(a):\n    return a", "def f(a, b):\n    return a if a else b"]
    assert [facts.parameters for facts in drive(facts_of_all(programs), sandbox)] == [1, 2]


def test_facts_that_did_not_come_are_left_out(sandbox: Sandbox) -> None:
    assert drive(facts_of_all(["def f(a):\n    return a", "def f("]), sandbox)[1:] == ()


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        ("", "thought_unfinished"),
        (PROPOSED.replace("</answer>", ""), "answer_unfinished"),
        (PROPOSED.replace("python", "input"), "no_program"),
        (PROPOSED.replace("```input", "```text"), "no_input"),
        (PROPOSED.replace("'ab'", "ab"), "input_not_literal"),
        (PROPOSED.replace("a * 2", "a * b"), "error"),
    ],
)
def test_each_stage_may_refuse(sandbox: Sandbox, response: str, reason: str) -> None:
    refused = drive(judge_proposal(task_type("deduction"), response, Ask(), R1, GateRules()), sandbox)
    assert isinstance(refused, Refusal)
    assert refused.reason == reason


@pytest.mark.parametrize(
    ("response", "verdict"),
    [
        ("so </think> <answer>```output\n[4, 8, 9, 14]\n```</answer>", (True, True, "correct")),
        ("so </think> <answer>[4, 8, 9, 14]</answer>", (True, True, "correct")),
        ("so </think> <answer>[4, 8]</answer>", (False, True, "wrong")),
        ("so </think> <answer>four</answer>", (False, False, "malformed:not_literal")),
        ("so </think> <answer>```output\n```</answer>", (False, False, "malformed:empty_answer")),
        ("so [4, 8, 9, 14]", (False, False, "malformed:thought_unfinished")),
        ("so </think> [4, 8, 9, 14]", (False, False, "malformed:no_answer_tag")),
    ],
)
def test_an_attempt_becomes_a_verdict(sandbox: Sandbox, response: str, verdict: tuple[bool, bool, str]) -> None:
    kind = task_type("deduction")
    found = drive(judge_attempt(kind, kind.example(), response, R1, VerifyRules()), sandbox)
    assert (found.correct, found.well_formed, found.reason) == verdict


def test_a_truncated_attempt_is_wrong_whatever_it_holds(sandbox: Sandbox) -> None:
    kind = task_type("deduction")
    right = "so </think> <answer>[4, 8, 9, 14]</answer>"
    cut = drive(judge_attempt(kind, kind.example(), right, R1, VerifyRules(), truncated=True), sandbox)
    assert cut == Verdict(correct=False, well_formed=True, reason="truncated")


@pytest.mark.parametrize("name", ["deduction", "abduction", "induction", "error", "composite"])
def test_a_model_that_knows_the_compact_style_plays_every_type(sandbox: Sandbox, name: str) -> None:
    """Proposes the example in the style in which it was asked, and solves it in the style in which it is shown."""
    kind = task_type(name)
    example = kind.example()
    ask = Ask(references=(example,), components=example.components)
    assert propose_prompt(kind, ask, COMPACT).endswith("\n")
    if name == "induction":
        proposal = "".join(f"#i {given}\n" for given in example.inputs) + f"#m {example.message}"
    else:
        program = example.program.removeprefix("\n\n\n".join(example.components)).strip("\n")
        proposal = f"{program}\n#i {example.inputs[0]}"
    proposed = drive(judge_proposal(kind, proposal, ask, COMPACT, GateRules()), sandbox)
    assert isinstance(proposed, Task), proposed
    assert (proposed.program, proposed.outputs) == (example.program, example.outputs)
    assert solve_prompt(proposed, kind, COMPACT).endswith("\n")
    answer = {"abduction": example.inputs[0], "induction": example.program}.get(name, example.outputs[0])
    assert drive(judge_attempt(kind, proposed, answer, COMPACT, VerifyRules()), sandbox).correct


TAGS = ["</answer>", "<answer>", "</think>", "```", "`", "<output>1</output>", "<input>1</input>"]
#: In which frames an answer cannot be told from a response that holds the text in a string.
LOST = {"</answer>": {"r1"}, "<answer>": {"r1", "chat"}, "</think>": {"chat"}}


@pytest.mark.parametrize("kind", ["deduction", "abduction", "error", "composite"])
@pytest.mark.parametrize("name", frames.names())
@pytest.mark.parametrize("text", TAGS)
def test_a_right_answer_that_a_frame_cannot_carry_makes_no_task(
    sandbox: Sandbox, kind: str, name: str, text: str
) -> None:
    around = frame(name, chat_template=lambda messages: messages[0]["content"])
    judge = task_type(kind)
    rules = GateRules(reads_back=lambda task: reads_back(task, task_type(task.task_type), around))
    given = ("def g_0(a):\n    return a",) if kind == "composite" else ()
    program = assembled(given, f"def f(a):\n    return {'g_0(a)' if given else 'a'}")
    outcome = drive(judge.gate(Candidate(program=program, inputs=(repr(text),), components=given), rules), sandbox)
    if kind != "error" and name in LOST.get(text, ()):
        assert outcome == Refusal("answer_unreadable", repr(text))
        return
    assert isinstance(outcome, Task), outcome
    _, written = kind_that_knows(judge).known_answer(outcome, around.style)
    verdict = drive(judge_attempt(judge, outcome, around.respond(written), around, VerifyRules()), sandbox)
    assert verdict.correct, verdict


def kind_that_knows(kind: TaskType) -> KnowsAnAnswer:
    assert isinstance(kind, KnowsAnAnswer)
    return kind


def test_a_type_that_does_not_say_how_its_answers_are_written_is_taken_at_its_word() -> None:
    induction = task_type("induction")
    assert not isinstance(induction, KnowsAnAnswer)
    assert reads_back(induction.example(), induction, R1)
