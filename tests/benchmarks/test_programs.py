"""The programs that benchmarks run: enough of them, varied, reproducible, as long as they say."""

from __future__ import annotations

import pytest

from benchmarks.contest import load_programs
from benchmarks.programs import make
from sandbox_wasm.protocol import RunJob, RunResult, Sandbox

#: Lines of the median program, and of the longest.
_LENGTHS = {"short": (3, 7, 12), "long": (9, 16, 40)}

each_set = pytest.mark.parametrize("name", sorted(make.SETS))


@each_set
def test_the_file_is_what_the_templates_make(name: str) -> None:
    assert (make.HERE / f"{name}.jsonl").read_bytes() == make.content(name), "run: python -m benchmarks.programs.make"


def test_the_sample_is_what_the_templates_make() -> None:
    assert (make.HERE / "sample.jsonl").read_bytes() == make.sample(), "run: python -m benchmarks.programs.make"


@each_set
def test_there_are_two_hundred_programs_and_no_two_alike(name: str) -> None:
    programs = load_programs(name)
    assert len(programs) >= 200
    assert len({program.program for program in programs}) == len(programs)
    assert len({program.id for program in programs}) == len(programs)
    assert {len(program.inputs) for program in programs} == {make.INPUTS}


@each_set
def test_they_are_as_long_as_the_set_says(name: str) -> None:
    shortest_median, longest_median, longest = _LENGTHS[name]
    lengths = sorted(len(program.program.splitlines()) for program in load_programs(name))
    assert shortest_median <= lengths[len(lengths) // 2] <= longest_median
    assert lengths[-1] <= longest


@each_set
def test_each_runs_without_an_error_and_its_answers_differ(name: str, sandbox: Sandbox) -> None:
    programs = load_programs(name)
    results = sandbox.run_many(RunJob(program=one.program, inputs=tuple(one.inputs[::2])) for one in programs)
    failed, dull = [], []
    for program, result in zip(programs, results, strict=True):
        assert isinstance(result, RunResult)
        failed += [(program.id, outcome.error) for outcome in result.outcomes if outcome.status != "ok"]
        if len({outcome.value.key for outcome in result.outcomes if outcome.value}) == 1:
            dull.append(program.id)
    assert failed == []
    assert dull == []
