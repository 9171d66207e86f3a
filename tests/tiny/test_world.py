"""The world, in the real sandbox: what it shows is true, and what is held out stays out."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import numpy as np
import pytest

from azr.game import play
from azr.game.frames import frame
from azr.game.gate import GateRules
from azr.game.plan import drive
from azr.game.tasks import Ask, task_type
from azr.game.types import Task
from azr.game.verification import VerifyRules
from azr.tiny.corpus import ABDUCTIONS, DEDUCTIONS, corpus, pairs_of, task_of
from azr.tiny.grammar import HARDER
from azr.tiny.world import LONGEST_OUTPUT, PAIRS, Specimen, is_held_out, specimens
from sandbox_wasm.protocol import Sandbox

FRAME = frame("compact")


@pytest.fixture(scope="module")
def some(sandbox: Sandbox) -> list[Specimen]:
    return list(islice(specimens(sandbox, np.random.default_rng(0), held_out=False), 40))


def test_specimens_have_distinct_inputs_and_short_outputs_that_vary(some: list[Specimen]) -> None:
    for specimen in some:
        assert len(set(specimen.inputs)) == len(specimen.outputs) == PAIRS
        assert len(set(specimen.outputs)) > 1
        assert max(map(len, specimen.outputs)) <= LONGEST_OUTPUT


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
        task = task_of(kind, specimen, 1)
        answer = {
            "deduction": task.outputs[0],
            "abduction": task.inputs[0],
            "induction": specimen.program.text,
        }[kind]
        verdict = drive(play.judge_attempt(task_type(kind), task, answer, FRAME, VerifyRules()), sandbox)
        assert verdict.correct, (kind, specimen.program.text, verdict)


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


def test_harder_specimens_exist_on_the_held_out_side(sandbox: Sandbox) -> None:
    found = list(islice(specimens(sandbox, np.random.default_rng(0), held_out=True, difficulty=HARDER), 3))
    assert all(is_held_out(specimen.normal_form) for specimen in found)
