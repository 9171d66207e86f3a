"""The registry: a new task type is one file and one line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from azr.game import gate, tasks, verification
from azr.game.frames import frame
from azr.game.gate import GateRules
from azr.game.plan import Plan, drive
from azr.game.play import judge_attempt, judge_proposal, propose_prompt, solve_prompt
from azr.game.tasks import Ask, Style
from azr.game.types import Candidate, Refusal, Task, Verdict
from azr.game.verification import VerifyRules
from sandbox_wasm.protocol import Sandbox


class TypeName:
    """The new file: predict the name of the type that a call returns."""

    name = "type_name"
    least_references = 0

    def propose_prompt(self, ask: Ask, style: Style) -> str:
        return "Write a program."

    def solve_prompt(self, task: Task, style: Style) -> str:
        return f"Type of f({task.inputs[0]})?\n{task.program}"

    def parse_proposal(self, text: str, ask: Ask, style: Style) -> Candidate | Refusal:
        program, _, given = text.partition("\n---\n")
        return Candidate(program=program, inputs=(given,))

    def gate(self, candidate: Candidate, rules: GateRules) -> Plan[Task | Refusal]:
        examined = yield from gate.examine(candidate.program, candidate.inputs, rules)
        if isinstance(examined, Refusal):
            return examined
        outcomes = yield from gate.run_probes(candidate.program, examined.inputs, rules)
        values = outcomes if isinstance(outcomes, Refusal) else gate.values_of(outcomes)
        if isinstance(values, Refusal):
            return values
        kinds = [value.type_name for value in values]
        return gate.task_of(self, candidate, examined, outputs=kinds, output_keys=kinds, rules=rules)

    def apart_by(self, task: Task) -> Sequence[str]:
        return task.inputs

    def parse_answer(self, text: str, style: Style) -> str | Refusal:
        return text.strip()

    def verify(self, task: Task, answer: str, rules: VerifyRules) -> Plan[Verdict]:
        yield from ()
        return verification.CORRECT if answer == task.outputs[0] else verification.fell_short("wrong", answer)

    def example(self) -> Task:
        return Task(id="t", task_type=self.name, program="def f(a): return a", inputs=("1",), outputs=("int",))


@pytest.fixture
def type_name() -> Iterator[TypeName]:
    kind = TypeName()
    tasks.register(kind)  # the new line
    yield kind
    tasks._TASK_TYPES.pop(kind.name)


def test_a_new_task_type_plays_like_the_others(sandbox: Sandbox, type_name: TypeName) -> None:
    kind, shape = tasks.task_type("type_name"), frame("compact")
    assert "type_name" in tasks.names()
    assert propose_prompt(kind, Ask(), shape) == "Write a program."
    proposal = judge_proposal(kind, "def f(a):\n    return {a}\n---\n1", Ask(), shape, GateRules())
    accepted = drive(proposal, sandbox)
    assert isinstance(accepted, Task)
    assert accepted.outputs == ("set",)
    assert solve_prompt(accepted, kind, shape).startswith("Type of f(1)?")
    for answer, correct in (("set", True), ("list", False)):
        verdict = drive(judge_attempt(kind, accepted, answer, shape, VerifyRules()), sandbox)
        assert verdict.correct is correct


def test_a_name_is_taken_once() -> None:
    with pytest.raises(ValueError, match="'deduction' is registered already"):
        tasks.register(tasks.task_type("deduction"))


def test_an_unknown_type_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ValueError, match="did you mean 'deduction'"):
        tasks.task_type("deducton")


def test_the_default_game_is_the_published_one() -> None:
    assert tasks.DEFAULT_TASKS == ("deduction", "abduction", "induction")
    assert set(tasks.names()) == {*tasks.DEFAULT_TASKS, "error", "composite"}


@pytest.mark.parametrize("name", tasks.names())
def test_every_example_passes_its_own_gate_as_it_stands(sandbox: Sandbox, name: str) -> None:
    kind = tasks.task_type(name)
    example = kind.example()
    candidate = Candidate(
        program=example.program, inputs=example.inputs, message=example.message, components=example.components
    )
    accepted = drive(kind.gate(candidate, GateRules()), sandbox)
    assert isinstance(accepted, Task), accepted
    assert (accepted.inputs, accepted.outputs, accepted.shown) == (example.inputs, example.outputs, example.shown)
