"""Flipping a sign, a bound or an index in a formula breaks one of its tests."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.mutation.mutation import ROOT, Mutation, all_mutations, short

#: Judges a change of a comment's kind: no test can fail of it, so the harness must call it a survivor.
HARMLESS = """
from tests.mutation.mutation import Mutation
from tests.mutation.run import judge
outcome = judge(Mutation("azr/game/rewards/combine.py", "Pure functions.", "", ("tests/rewards/test_combine.py",)))
print(outcome.output)
raise SystemExit(outcome.status)
"""


#: Judges a module that never ends: first as one that must end, then as one that need not.
ENDLESS = """
from tests.mutation import run
from tests.mutation.mutation import Mutation
run.CPU_SECONDS = 4
module = "azr/game/rewards/combine.py"
for may_hang in (False, True):
    change = Mutation(module, "import math", "while True: pass", ("tests/rewards/test_combine.py",), may_hang)
    print(run.judge(change).word)
"""


def run(*arguments: str, seconds: float) -> subprocess.CompletedProcess[str]:
    """In a process of its own, because this one has imported the modules that are to be mutated."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    environment.pop("PYTEST_ADDOPTS", None)
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment,
        timeout=seconds,
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_mutation_applies_to_the_source_as_it_is() -> None:
    for mutation in all_mutations():
        assert mutation.source()
        for test in mutation.tests:
            assert (ROOT / test).exists(), test


def test_no_mutation_is_listed_twice() -> None:
    listed = all_mutations()
    assert len({(mutation.module, mutation.before, mutation.after) for mutation in listed}) == len(listed)


def test_a_change_that_applies_twice_or_not_at_all_is_refused() -> None:
    for before in ("segment", "no such text"):
        with pytest.raises(ValueError, match="not once"):
            Mutation("azr/advantages/moments.py", before, "x", ()).source()
    with pytest.raises(ValueError, match="into itself"):
        Mutation("azr/advantages/moments.py", "total - 1.0", "total - 1.0", ()).source()


def test_a_change_that_changes_nothing_goes_unnoticed() -> None:
    done = run("-c", HARMLESS, seconds=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_first_mutation_of_each_module_is_noticed() -> None:
    done = run("-m", "tests.mutation.run", "--short", seconds=240)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("noticed  ") == len(short(all_mutations()))


@pytest.mark.soak
def test_tests_that_never_end_are_told_apart_and_pass_only_where_that_is_listed() -> None:
    done = run("-c", ENDLESS, seconds=120)
    assert done.stdout.split() == ["HUNG", "hung"], done.stdout + done.stderr


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_every_mutation_is_noticed() -> None:
    done = run("-m", "tests.mutation.run", seconds=1700)
    assert done.returncode == 0, done.stdout + done.stderr
