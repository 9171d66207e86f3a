"""Seeding: from the identity to both targets, without duplicates, or to an error that says why it stands still."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from azr.game.gate import GateRules
from azr.game.plan import drive
from azr.game.seeding import (
    ZERO_INPUTS,
    ZERO_PROGRAM,
    Seeding,
    SeedingSettings,
    SeedingStalledError,
    SeedingState,
    retyped,
    zero_tasks,
)
from azr.game.types import Refusal, Task
from azr.game.wire import decode, encode
from sandbox_wasm.protocol import Sandbox
from tests.game.conftest import task


@pytest.fixture(scope="module")
def zero(sandbox: Sandbox) -> tuple[Task, Task]:
    return drive(zero_tasks(GateRules()), sandbox)


def settings(**fields: Any) -> SeedingSettings:
    few: dict[str, Any] = {
        "triplets": 6,
        "inductions": 4,
        "batch": 4,
        "stall_batches": 3,
        "induction_inputs": 4,
        "references": 2,
    }
    return SeedingSettings(**{**few, **fields})


def seeding(zero: Sequence[Task], **fields: Any) -> Seeding:
    return Seeding(settings(**fields), SeedingState.beginning(zero), np.random.default_rng(7))


def triplet(number: int) -> Task:
    return task("deduction", f"def f(a): return a + {number}", {"1": str(number)}, normal_form=f"t{number}")


def induction(number: int) -> Task:
    return task("induction", "def f(a): return a", {"1": "1"}, fingerprint=f"i{number}")


def test_everything_begins_with_the_identity(zero: tuple[Task, Task]) -> None:
    first, second = zero
    assert first.program == second.program == ZERO_PROGRAM
    assert first.inputs == first.outputs == ("'Hello world'",)
    assert second.inputs == second.outputs == ZERO_INPUTS
    assert (second.shown, second.task_type) == (5, "induction")
    assert second.message


@pytest.mark.parametrize("count", [2, 10, 13])
def test_the_identity_is_known_by_as_many_pairs_as_the_rules_ask_for(sandbox: Sandbox, count: int) -> None:
    _, induction = drive(zero_tasks(GateRules(induction_inputs=count, induction_shown=1)), sandbox)
    assert len(set(induction.inputs)) == count


def test_a_gate_too_strict_for_the_identity_is_an_error(sandbox: Sandbox) -> None:
    with pytest.raises(SeedingStalledError, match="refuses the identity function: output_too_long"):
        drive(zero_tasks(GateRules(max_output_length=3)), sandbox)


def test_the_published_targets_are_the_default() -> None:
    assert (SeedingSettings().triplets, SeedingSettings().inductions, SeedingSettings().batch) == (256, 256, 64)


def test_triplets_come_first_in_two_kinds_and_induction_after(zero: tuple[Task, Task]) -> None:
    machine = seeding(zero)
    assert machine.next_batch() == ("deduction", "abduction", "deduction", "abduction")
    for number in range(5):
        assert not machine.done
        assert machine.report(triplet(number))
    assert machine.next_batch() == ("induction",) * 4
    for number in range(3):
        assert machine.report(induction(number))
    assert machine.done
    assert [len(machine.state.triplets), len(machine.state.inductions)] == [6, 4]


def test_triplets_are_proposed_as_the_types_that_are_asked_for(zero: tuple[Task, Task]) -> None:
    machine = seeding(zero, triplet_types=("abduction",), inductions=0)
    assert machine.next_batch() == ("abduction",) * 4
    assert machine.standing == "1 of 6 triplets"
    for number in range(5):
        machine.report(triplet(number))
    assert machine.done, "no induction task is waited for"


def test_a_triplet_of_either_kind_is_kept_once_and_serves_both(zero: tuple[Task, Task]) -> None:
    machine = seeding(zero)
    assert machine.report(retyped(triplet(1), "abduction"))
    assert not machine.report(triplet(1))
    assert [kept.task_type for kept in machine.state.triplets] == ["deduction", "deduction"]
    assert machine.state.reasons == {"duplicate": 1}
    assert machine.state.triplets[1] == retyped(triplet(1), "deduction")


def test_what_comes_after_the_target_is_surplus(zero: tuple[Task, Task]) -> None:
    machine = seeding(zero, triplets=2)
    assert [machine.report(triplet(number)) for number in range(3)] == [True, False, False]
    assert machine.state.reasons == {"surplus": 2}


def test_references_are_drawn_by_lot_without_repetition(zero: tuple[Task, Task]) -> None:
    machine = seeding(zero, triplets=99)
    assert machine.draw("deduction", 6).references == (zero[0],)
    for number in range(20):
        machine.report(triplet(number))
    draws = [machine.draw("abduction", 6).references for _ in range(50)]
    assert all(len({reference.fingerprint for reference in draw}) == 6 for draw in draws)
    assert len({reference.fingerprint for draw in draws for reference in draw}) == 21


def test_every_program_gets_its_chance_at_induction_before_any_gets_a_second(zero: tuple[Task, Task]) -> None:
    machine = seeding(zero)
    for number in range(5):
        machine.report(triplet(number))
    programs = [machine.draw("induction", 6).references for _ in range(12)]
    assert all(len(references) == 1 for references in programs)
    names = [references[0].program for references in programs]
    assert len(set(names[:6])) == 6
    assert names[:6] == names[6:]


def test_standing_still_is_an_error_that_tells_the_refusals(zero: tuple[Task, Task]) -> None:
    machine = seeding(zero)
    for _ in range(3):
        for _ in machine.next_batch():
            machine.report(Refusal("no_program"))
    machine.report(Refusal("banned"))
    with pytest.raises(
        SeedingStalledError, match=r"1 of 6 triplets and 1 of 4 .* \(refusals so far: no_program 12, banned 1\)"
    ):
        machine.next_batch()


def test_one_new_task_keeps_it_going(zero: tuple[Task, Task]) -> None:
    machine = seeding(zero, triplets=99)
    for number in range(20):
        machine.next_batch()
        if number % 3 == 2:
            machine.report(triplet(number))


def test_a_machine_made_from_saved_state_goes_on_in_the_same_way(zero: tuple[Task, Task]) -> None:
    def go_on(machine: Seeding) -> list[object]:
        asks = [(kind, machine.draw(kind, 3)) for _ in range(2) for kind in machine.next_batch()]
        return [asks, [machine.report(triplet(number)) for number in range(9)], machine.done]

    machine = seeding(zero)
    machine.next_batch()
    machine.report(triplet(3))
    machine.report(Refusal("banned"))
    saved, random = encode(machine.state), np.random.default_rng(1)
    restored = Seeding(settings(), decode(saved, SeedingState), np.random.default_rng(1))
    assert go_on(restored) == go_on(Seeding(settings(), machine.state, random))
