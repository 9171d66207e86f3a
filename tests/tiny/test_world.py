"""The world, in the real sandbox: what it shows is true, and what is held out stays out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import cast

import numpy as np
import pytest

from azr.errors import AzrError
from azr.game import play
from azr.game.frames import THOUGHT, frame
from azr.game.gate import GateRules
from azr.game.plan import drive
from azr.game.tasks import Ask, task_type
from azr.game.types import Task
from azr.game.verification import VerifyRules
from azr.tiny.corpus import ABDUCTIONS, DEDUCTIONS, WORKED_OUT, corpus, pairs_of, task_of
from azr.tiny.grammar import HARDER
from azr.tiny.world import LONGEST_OUTPUT, PAIRS, Specimen, _specimen, is_held_out, specimens
from sandbox_wasm.protocol import (
    InspectJob,
    InspectResult,
    Job,
    JobResult,
    Limits,
    Outcome,
    RunJob,
    RunResult,
    Sandbox,
)

FRAME = frame("compact")


@pytest.fixture(scope="module")
def some(sandbox: Sandbox) -> list[Specimen]:
    return list(islice(specimens(sandbox, np.random.default_rng(0), held_out=False), 40))


def test_specimens_have_distinct_inputs_and_short_outputs_that_vary(some: list[Specimen]) -> None:
    for specimen in some:
        assert len(set(specimen.inputs)) == len(specimen.outputs) == PAIRS
        assert len(set(specimen.outputs)) > 1
        assert max(map(len, specimen.outputs)) <= LONGEST_OUTPUT


def test_a_working_goes_from_the_argument_to_the_output_and_every_step_of_it_is_true(
    sandbox: Sandbox, some: list[Specimen]
) -> None:
    for specimen in some:
        for given, output, working in zip(specimen.inputs, specimen.outputs, specimen.workings, strict=True):
            assert given in working[0][0]
            assert output == working[-1][1]
            expressions = ",".join(expression for expression, _ in working)
            job = RunJob(program=f"def f():\n return [{expressions}]", inputs=("",), limits=Limits.of_seconds(1.0))
            [result] = sandbox.run_many([job])
            assert isinstance(result, RunResult)
            [outcome] = result.outcomes
            assert outcome.value is not None, working
            assert outcome.value.literal == f"[{', '.join(value for _, value in working)}]"


def test_a_working_has_a_step_for_each_of_the_program_and_one_for_a_condition(some: list[Specimen]) -> None:
    for specimen in some:
        branches = "\n if " in specimen.program.text
        assert {len(working) for working in specimen.workings} == {specimen.program.steps + branches}


def test_outputs_are_worked_out_forwards_and_inputs_backwards(some: list[Specimen]) -> None:
    seen, generator = set(), np.random.default_rng(2)
    for specimen in some:
        for pair in pairs_of(specimen, [], generator):
            *thought, answer = pair.response.split("\n")
            cell = pair.prompt.strip().rpartition("\n")[2][:2]
            if cell in ("#o", "#i") and thought:
                seen.add(cell)
                assert all(line.startswith(f"{THOUGHT} ") for line in thought)
                if cell == "#o":
                    assert thought[-1].endswith(f"={answer}")
                else:
                    assert answer in thought[-1].partition("=")[2]
    assert seen == {"#o", "#i"}


def test_the_two_sides_of_the_split_share_no_program(sandbox: Sandbox, some: list[Specimen]) -> None:
    held_out = list(islice(specimens(sandbox, np.random.default_rng(0), held_out=True), 10))
    assert not {specimen.normal_form for specimen in some} & {specimen.normal_form for specimen in held_out}
    assert all(is_held_out(specimen.normal_form) for specimen in held_out)
    assert not any(is_held_out(specimen.normal_form) for specimen in some)


def test_about_one_program_in_sixteen_is_held_out() -> None:
    generator = np.random.default_rng(1)
    digests = [generator.bytes(16).hex() for _ in range(8000)]
    assert np.mean([is_held_out(digest) for digest in digests]) == pytest.approx(1 / 16, abs=0.01)


@pytest.mark.parametrize("kind", ["deduction", "abduction", "induction"])
def test_the_response_of_every_solve_pair_is_right(sandbox: Sandbox, some: list[Specimen], kind: str) -> None:
    for specimen in some[:8]:
        tasks = [task_of(kind, specimen, pair) for pair in range(PAIRS)]
        asked = {play.solve_prompt(task, task_type(kind), FRAME): task for task in tasks}
        pairs = [pair for pair in pairs_of(specimen, [], np.random.default_rng(5)) if pair.prompt in asked]
        assert pairs
        for pair in pairs:
            judging = play.judge_attempt(task_type(kind), asked[pair.prompt], pair.response, FRAME, VerifyRules())
            verdict = drive(judging, sandbox)
            assert verdict.correct, (kind, pair, verdict)


def test_some_answers_are_worked_out_first_and_no_program_is(some: list[Specimen]) -> None:
    generator = np.random.default_rng(6)
    thought: dict[str, list[bool]] = {}
    for specimen in some:
        for pair in pairs_of(specimen, [], generator):
            cell = pair.prompt.strip().rpartition("\n")[2][:2]
            thought.setdefault(cell, []).append(pair.response.startswith(THOUGHT))
    shares = {cell: float(np.mean(found)) for cell, found in thought.items()}
    assert shares["#o"] == pytest.approx(WORKED_OUT, abs=0.1)
    assert shares["#i"] == pytest.approx(WORKED_OUT, abs=0.15)
    assert {shares[cell] for cell in shares if cell not in ("#o", "#i")} == {0.0}


def test_the_response_of_every_propose_pair_passes_the_gate(sandbox: Sandbox, some: list[Specimen]) -> None:
    generator = np.random.default_rng(5)
    rules = GateRules(induction_inputs=PAIRS, induction_shown=PAIRS // 2)
    for specimen in some[:12]:
        marked = [(pair.prompt.strip()[-2:], pair) for pair in pairs_of(specimen, [], generator)]
        proposals = [(mark, pair) for mark, pair in marked if mark in ("#n", "#d", "#a")]
        assert len(proposals) == 2
        for mark, pair in proposals:
            kind = {"#n": "induction", "#d": "deduction", "#a": "abduction"}[mark]
            ask = Ask(references=(task_of("deduction", specimen),), inputs=PAIRS)
            judged = drive(play.judge_proposal(task_type(kind), pair.response, ask, FRAME, rules), sandbox)
            assert isinstance(judged, Task), (pair, judged)


def test_a_corpus_repeats_itself_and_holds_all_cells(sandbox: Sandbox) -> None:
    def made() -> list[tuple[str, str]]:
        stream = specimens(sandbox, np.random.default_rng(7), held_out=False)
        return [(pair.prompt, pair.response) for pair in corpus(stream, np.random.default_rng(8), 12)]

    first = made()
    assert first == made()
    cells = Counter(prompt.strip().rpartition("\n")[2][:2] for prompt, _ in first)
    assert cells["#o"] == 12 * DEDUCTIONS
    assert cells["#i"] == 12 * ABDUCTIONS
    assert cells["#f"] == cells["#n"] == 12
    assert cells["#d"] + cells["#a"] == 12


class Busy:
    """A machine so busy that each job is undecided the first times it is asked for."""

    def __init__(self, sandbox: Sandbox, times: int) -> None:
        self._sandbox, self._times, self._asked = sandbox, times, Counter[Job]()

    def run_many(self, jobs: Iterable[Job]) -> Iterator[JobResult]:
        for job in jobs:
            self._asked[job] += 1
            if self._asked[job] > self._times:
                yield from self._sandbox.run_many([job])
            elif isinstance(job, InspectJob):
                yield InspectResult(facts=None, reason="retry", detail="wall time used up")
            elif isinstance(job, RunJob):
                yield RunResult(outcomes=(Outcome("retry", error="wall time used up"),) * len(job.inputs))


def drawn_on(busy: Busy) -> Iterator[Specimen]:
    return specimens(cast(Sandbox, busy), np.random.default_rng(0), held_out=False)


def test_a_busy_machine_makes_the_same_of_a_seed(sandbox: Sandbox, some: list[Specimen]) -> None:
    assert list(islice(drawn_on(Busy(sandbox, 2)), 4)) == some[:4]


def test_a_machine_too_busy_for_that_is_named(sandbox: Sandbox) -> None:
    with pytest.raises(AzrError, match="could not be run in 3 tries: retry wall time used up"):
        next(drawn_on(Busy(sandbox, 3)))


def test_a_program_whose_working_fails_on_an_argument_is_passed_over(sandbox: Sandbox, some: list[Specimen]) -> None:
    """Its other workings would move to the places of arguments that are not theirs."""
    program, given = some[0].program, some[0].inputs
    jobs = [RunJob(program=program.text, inputs=given), RunJob(program=program.working, inputs=given)]
    run, worked, facts = sandbox.run_many([*jobs, InspectJob(program=program.text)])
    assert isinstance(run, RunResult)
    assert isinstance(worked, RunResult)
    assert isinstance(facts, InspectResult)
    assert _specimen(program, given, run, worked, facts) == some[0]
    failing = RunResult(outcomes=(Outcome("error", error="ValueError: "), *worked.outcomes[1:]))
    assert _specimen(program, given, run, failing, facts) is None


def test_harder_specimens_exist_on_the_held_out_side(sandbox: Sandbox) -> None:
    found = list(islice(specimens(sandbox, np.random.default_rng(0), held_out=True, difficulty=HARDER), 3))
    assert all(is_held_out(specimen.normal_form) for specimen in found)
