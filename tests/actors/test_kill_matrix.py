"""Whatever is killed, the run goes on by itself: no sample that was acknowledged is lost, none is trained on twice.

The long form, by the ids of all samples; in `tests/run/test_soak.py` each kind dies once in a whole run.
Real engines, services, sandbox and players; a stand-in takes the learner's batches and publishes weights.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.kills import KINDS, Known, begin, config_for_kills, missing, strike, trained
from benchmarks.self_play import SelfPlay, self_play
from benchmarks.victims import drawn
from tests.actors.signals import trap_handlers_kept


class TestWhatCountsAsLost:
    BEFORE = Known({"flying": 7, "settled": 6, "old": 2}, since=2)

    def test_nothing_while_all_are_known(self) -> None:
        assert missing(self.BEFORE, Known({"flying": 7, "settled": 6, "new": 9}, since=4), {}) == ()

    def test_a_sample_that_is_gone_however_many_are_new(self) -> None:
        after = Known({"settled": 6} | {f"new-{number}": 9 for number in range(100)}, since=4)
        assert missing(self.BEFORE, after, {}) == ("flying",)

    def test_one_that_was_made_anew_under_its_id(self) -> None:
        after = Known({"flying": 8, "settled": 6}, since=4)
        assert missing(self.BEFORE, after, {"flying": 8}) == ("flying",)

    def test_none_that_was_trained_on_and_forgotten_with_its_step(self) -> None:
        assert missing(self.BEFORE, Known({"settled": 6}, since=4), {"flying": 8}) == ()

    def test_none_of_weights_so_old_that_nobody_would_take_it(self) -> None:
        assert missing(self.BEFORE, Known({"flying": 7, "settled": 6}, since=3), {}) == ()
        assert missing(self.BEFORE, Known({"flying": 7, "settled": 6}, since=2), {}) == ("old",)


@pytest.fixture
def play(tmp_path: Path) -> Iterator[SelfPlay]:
    with trap_handlers_kept(), self_play(config_for_kills("tiny", 2), tmp_path, seed_programs=24) as started:
        begin(started)
        yield started


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_one_of_each_kind_is_killed_under_load_and_the_run_goes_on(play: SelfPlay) -> None:
    survives(play, list(KINDS), random.Random(1))


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_sixty_are_killed_at_random(play: SelfPlay) -> None:
    lot = random.Random(7)
    survives(play, drawn(KINDS, 60, lot), lot)


def survives(play: SelfPlay, kinds: list[str], lot: random.Random) -> None:
    recoveries = strike(play, kinds, lot)
    assert [recovery.kind for recovery in recoveries] == kinds
    assert [recovery for recovery in recoveries if recovery.lost] == []
    play.learner.stop()
    play.services.experience.assert_closed()
    assert play.learner.twice == []
    assert trained(play) == len(play.learner.trained), "the books and the learner agree on what was trained on"
