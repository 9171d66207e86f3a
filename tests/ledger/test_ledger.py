"""The books close: generated = trained + discarded + in flight, in samples and tokens, cell by cell."""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable

import msgspec
import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from azr.game.types import Cell, Trajectory, Version, VersionSpan
from azr.ledger.ledger import Count, Ledger, LedgerError, LedgerState, Sample

SOLVE, PROPOSE = Cell("deduction", "solve"), Cell("deduction", "propose")


def sample(name: str, tokens: int = 10, cell: Cell = SOLVE, step: int = 0) -> Sample:
    return Sample(id=name, group="group", cell=cell, tokens=tokens, versions=(Version(0, step),))


def test_a_sample_is_in_flight_until_it_is_trained_on_or_discarded() -> None:
    ledger = Ledger()
    ledger.generated_many([sample("a", 10), sample("b", 20), sample("c", 30, PROPOSE)])
    assert ledger.in_flight() == {SOLVE: Count(2, 30), PROPOSE: Count(1, 30)}
    ledger.trained_many(["a"], step=7)
    ledger.discarded_many(["b"], "stale")
    account = ledger.accounts[SOLVE]
    assert (account.generated, account.trained) == (Count(2, 30), Count(1, 10))
    assert account.discarded == {"stale": Count(1, 20)}
    assert ledger.in_flight() == {PROPOSE: Count(1, 30)}
    ledger.assert_closed()


def test_reasons_are_counted_apart() -> None:
    ledger = Ledger()
    ledger.generated_many([sample("a", 1), sample("b", 2), sample("c", 4)])
    ledger.discarded_many(["a", "b"], "stale")
    ledger.discarded_many(["c"], "lineage")
    assert ledger.accounts[SOLVE].discarded == {"stale": Count(2, 3), "lineage": Count(1, 4)}


def test_an_id_counts_once_however_often_and_whenever_it_comes() -> None:
    ledger = Ledger()
    assert [new.id for new in ledger.generated_many([sample("a"), sample("a"), sample("b")])] == ["a", "b"]
    ledger.trained_many(["a"], 0)
    ledger.discarded_many(["b"], "stale")
    assert ledger.generated_many([sample("a", 99), sample("b", 99)]) == []
    assert ledger.accounts[SOLVE].generated == Count(2, 20)
    ledger.assert_closed()


@pytest.mark.parametrize("again", ["trained", "discarded"])
def test_nothing_is_trained_on_twice_nor_after_it_was_discarded(again: str) -> None:
    ledger = Ledger()
    ledger.generated_many([sample("a"), sample("b")])
    ledger.trained_many(["a"], 0) if again == "trained" else ledger.discarded_many(["a"], "stale")
    with pytest.raises(LedgerError, match="sample a is not in flight"):
        ledger.trained_many(["b", "a"], 1)
    assert ledger.sample("b").id == "b", "a batch is entered whole or not at all"
    ledger.assert_closed()


def test_one_sample_twice_in_a_batch_is_refused() -> None:
    ledger = Ledger()
    ledger.generated_many([sample("a")])
    with pytest.raises(LedgerError, match="twice"):
        ledger.trained_many(["a", "a"], 0)
    ledger.assert_closed()


def test_what_never_became_a_sample_is_generated_and_discarded_at_once() -> None:
    ledger = Ledger()
    ledger.wasted(SOLVE, 3, 700, "cancelled")
    assert ledger.accounts[SOLVE].generated == Count(3, 700)
    assert ledger.accounts[SOLVE].discarded == {"cancelled": Count(3, 700)}
    ledger.assert_closed()


def test_steps_after_a_checkpoint_are_undone() -> None:
    ledger = Ledger()
    ledger.generated_many([sample(name) for name in "abc"])
    for step, name in enumerate("abc"):
        ledger.trained_many([name], step)
    assert {undone.id for undone in ledger.untrain(since=1)} == {"b", "c"}
    assert ledger.accounts[SOLVE].trained == Count(1, 10)
    assert ledger.in_flight() == {SOLVE: Count(2, 20)}
    ledger.trained_many(["b", "c"], 1)
    ledger.assert_closed()


def test_what_no_checkpoint_can_undo_is_forgotten_but_its_id_is_known_while_it_could_come_again() -> None:
    ledger = Ledger()
    ledger.generated_many([sample("old", step=2), sample("young", step=6), sample("kept", step=6)])
    ledger.trained_many(["old", "young"], 6)
    ledger.trained_many(["kept"], 8)
    ledger.forget(trained_before=8, made_before=4)
    assert ledger.untrain(since=0) == [sample("kept", step=6)]
    assert not ledger.knows("old")
    assert ledger.knows("young")
    assert ledger.accounts[SOLVE].trained == Count(2, 20)
    ledger.assert_closed()


def test_ids_of_weights_too_old_to_come_again_are_not_taken_over_when_their_step_is_forgotten() -> None:
    ledger = Ledger()
    ledger.generated_many([sample("a", step=3), sample("b", step=4), sample("c", step=4)])
    ledger.trained_many(["a"], 3)
    ledger.trained_many(["b"], 4)
    ledger.trained_many(["c"], 5)
    ledger.forget(trained_before=6, made_before=4)
    assert [ledger.knows(name) for name in "abc"] == [False, True, True]
    ledger.forget(trained_before=6, made_before=5)
    assert not any(map(ledger.knows, "abc"))
    assert ledger.accounts[SOLVE].trained == Count(3, 30)
    ledger.assert_closed()


def test_what_was_undone_can_be_trained_on_anew_and_is_then_forgotten_with_that_step() -> None:
    ledger = Ledger()
    ledger.generated_many([sample("a"), sample("b")])
    ledger.trained_many(["a"], 0)
    ledger.trained_many(["b"], 1)
    ledger.untrain(since=0)
    ledger.trained_many(["b"], 0)
    ledger.trained_many(["a"], 1)
    ledger.forget(trained_before=1, made_before=1)
    assert [ledger.knows(name) for name in "ab"] == [True, False]
    assert ledger.untrain(since=0) == [sample("a")]


class Plain:
    """What a ledger knows, by looking at every sample each time."""

    def __init__(self) -> None:
        self.flying: dict[str, int] = {}
        self.trained: dict[str, tuple[int, int]] = {}
        self.settled: dict[str, int] = {}

    def knows(self, name: str) -> bool:
        return name in self.flying or name in self.trained or name in self.settled

    def untrain(self, since: int) -> None:
        self.flying |= {name: made for name, (step, made) in self.trained.items() if step >= since}
        self.trained = {name: (step, made) for name, (step, made) in self.trained.items() if step < since}

    def forget(self, trained_before: int, made_before: int) -> None:
        self.settled |= {name: made for name, (step, made) in self.trained.items() if step < trained_before}
        self.trained = {name: (step, made) for name, (step, made) in self.trained.items() if step >= trained_before}
        self.settled = {name: made for name, made in self.settled.items() if made >= made_before}


@pytest.mark.parametrize("seed", range(20))
def test_whatever_is_forgotten_the_ledger_knows_what_looking_at_every_sample_would_leave(seed: int) -> None:
    draw, ledger, plain = random.Random(seed), Ledger(), Plain()
    step = oldest = 0
    for number in range(150):
        made = max(0, step - draw.randrange(3))
        again = str(draw.randrange(number + 1))  # some come a second time, also when they were forgotten
        for new in ledger.generated_many([sample(str(number), step=made), sample(again, step=made)]):
            assert not plain.knows(new.id)
            plain.flying[new.id] = made
        chosen = draw.sample(sorted(plain.flying), draw.randint(0, len(plain.flying)))
        match draw.choices(("train", "discard", "undo", "forget", "restart"), (6, 3, 1, 2, 1))[0]:
            case "train":
                ledger.trained_many(chosen, step)
                plain.trained |= {name: (step, plain.flying.pop(name)) for name in chosen}
                step += 1
            case "discard":
                ledger.discarded_many(chosen, "stale")
                plain.settled |= {name: plain.flying.pop(name) for name in chosen}
            case "undo":
                step = draw.randint(oldest, step)
                ledger.untrain(step)
                plain.untrain(step)
                dead = [name for name, made in plain.flying.items() if made > step]
                ledger.discarded_many(dead, "lineage")
                plain.settled |= {name: plain.flying.pop(name) for name in dead}
            case "forget":
                oldest = draw.randint(oldest, step)
                ledger.forget(oldest, oldest - 2)
                plain.forget(oldest, oldest - 2)
            case "restart":
                ledger = Ledger.from_state(msgspec.convert(msgspec.to_builtins(ledger.state()), LedgerState))
        assert all(ledger.knows(str(name)) == plain.knows(str(name)) for name in range(number + 1))
        assert {one.id: at for at, one in ledger.state().trained} == {
            name: at for name, (at, _) in plain.trained.items()
        }
        assert ledger.state().settled == plain.settled
        ledger.assert_closed()


def test_forgetting_costs_what_is_forgotten_and_not_what_stays() -> None:
    """Of 40,000 samples in 100 steps: what no look at all of them could do."""

    def cost(forget: Callable[[], None]) -> float:
        began = time.thread_time()
        forget()
        return time.thread_time() - began

    def nothing_a_hundred_times() -> None:
        for _ in range(100):
            ledger.forget(trained_before=2, made_before=2)

    ledger = Ledger()
    for step in range(100):
        ledger.generated_many([sample(f"{step}.{number}", step=step) for number in range(400)])
        ledger.trained_many([f"{step}.{number}" for number in range(400)], step)
    gc.disable()
    try:
        ledger.forget(trained_before=1, made_before=1)
        one_step = cost(lambda: ledger.forget(trained_before=2, made_before=2))
        nothing = cost(nothing_a_hundred_times)
        everything = cost(lambda: ledger.forget(trained_before=100, made_before=100))
    finally:
        gc.enable()
    assert nothing < everything, "a hundred looks at all that stays cost more than to let go of it once"
    assert one_step < everything / 10
    assert not ledger.knows("99.0")


def test_a_book_that_does_not_close_says_which_cell_and_by_how_much() -> None:
    ledger = Ledger()
    ledger.generated_many([sample("a", 10)])
    ledger.accounts[SOLVE].generated.add(0, 5)
    with pytest.raises(LedgerError, match="deduction/solve: 15 tokens were generated but 10 are accounted for"):
        ledger.assert_closed()


def test_a_sample_held_outside_the_books_is_noticed() -> None:
    ledger = Ledger()
    ledger._in_flight["a"] = sample("a")
    with pytest.raises(LedgerError, match="0 samples were generated but 1"):
        ledger.assert_closed()


def test_a_ledger_comes_back_from_its_state_as_it_was() -> None:
    ledger = Ledger()
    ledger.generated_many([sample("a"), sample("b"), sample("c", 5, PROPOSE), sample("d")])
    ledger.trained_many(["a"], 3)
    ledger.discarded_many(["b"], "stale")
    ledger.wasted(PROPOSE, 1, 9, "cancelled")
    written = msgspec.msgpack.encode(ledger.state())
    back = Ledger.from_state(msgspec.msgpack.decode(written, type=LedgerState))
    assert back.state() == ledger.state()
    back.assert_closed()
    assert all(back.knows(name) for name in "abcd")


class Books(RuleBasedStateMachine):
    """Anything in any order: the ledger agrees with a list of what happened to each sample."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger()
        self.fate: dict[str, str] = {}
        self.tokens: dict[str, int] = {}
        self.step = 0

    def of(self, fate: str) -> list[str]:
        return [name for name, its in self.fate.items() if its == fate]

    @rule(names=st.lists(st.integers(0, 30), max_size=5), tokens=st.integers(0, 50))
    def generate(self, names: list[int], tokens: int) -> None:
        self.ledger.generated_many([sample(str(name), tokens) for name in names])
        for name in map(str, names):
            if name not in self.fate:
                self.fate[name], self.tokens[name] = "flying", tokens

    @precondition(lambda self: self.of("flying"))
    @rule(data=st.data())
    def train(self, data: st.DataObject) -> None:
        chosen = data.draw(st.lists(st.sampled_from(self.of("flying")), unique=True))
        self.ledger.trained_many(chosen, self.step)
        self.fate |= dict.fromkeys(chosen, f"trained {self.step}")
        self.step += 1

    @precondition(lambda self: self.of("flying"))
    @rule(data=st.data(), reason=st.sampled_from(["stale", "lineage"]))
    def discard(self, data: st.DataObject, reason: str) -> None:
        chosen = data.draw(st.lists(st.sampled_from(self.of("flying")), unique=True))
        self.ledger.discarded_many(chosen, reason)
        self.fate |= dict.fromkeys(chosen, reason)

    @rule(data=st.data())
    def undo(self, data: st.DataObject) -> None:
        since = data.draw(st.integers(0, self.step))
        self.ledger.untrain(since)
        for step in range(since, self.step):
            self.fate |= dict.fromkeys(self.of(f"trained {step}"), "flying")
        self.step = since

    @rule()
    def write_and_read(self) -> None:
        self.ledger = Ledger.from_state(
            msgspec.msgpack.decode(msgspec.msgpack.encode(self.ledger.state()), type=LedgerState)
        )

    @invariant()
    def agrees(self) -> None:
        self.ledger.assert_closed()
        flying = self.of("flying")
        assert self.ledger.in_flight().get(SOLVE, Count()) == Count(
            len(flying), sum(self.tokens[name] for name in flying)
        )
        account = self.ledger.accounts.get(SOLVE)
        trained = [name for name, fate in self.fate.items() if fate.startswith("trained")]
        assert (account.trained.samples if account else 0) == len(trained)
        for reason in ("stale", "lineage"):
            counted = account.discarded.get(reason, Count()).samples if account else 0
            assert counted == len(self.of(reason))


TestBooks = Books.TestCase
TestBooks.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


def test_a_sample_is_made_of_a_trajectory_in_one_place() -> None:
    made = Trajectory(
        id="g#0",
        cell=Cell("deduction", "solve"),
        group="g",
        prompt_ids=np.zeros(9, np.int32),
        response_ids=np.zeros(5, np.int32),
        behaviour_logprobs=np.zeros(5, np.float32),
        spans=(VersionSpan(0, 2, Version(0, 1)), VersionSpan(2, 5, Version(0, 2))),
    )
    sample = Sample.of(made, correct=True, body=b"encoded")
    assert (sample.id, sample.group, sample.cell, sample.tokens) == ("g#0", "g", made.cell, 5)
    assert (sample.versions, sample.oldest) == ((Version(0, 1), Version(0, 2)), Version(0, 1))
    assert (sample.correct, sample.body) == (True, b"encoded")
