"""The hub: steps are complete or not told, wishes to stop are the driver's latest, nothing grows without bound."""

from __future__ import annotations

from azr.run import hub
from azr.run.hub import KEPT_STEPS, Drained, StepParts


class Board(hub.Board):
    """A hub whose driver hears every answer."""

    def drain(self, stop: str, playing: bool, heard: int | None = None) -> Drained:
        return super().drain(stop, playing, self._handed.number if heard is None else heard)


def test_a_step_is_told_when_its_last_part_is_in() -> None:
    board = Board()
    board.report(1, "source", b"a", last=False)
    assert board.drain("", False).steps == []
    board.report(1, "learner", b"b", last=True)
    assert board.drain("", False).steps == [StepParts(1, {"source": b"a", "learner": b"b"})]
    assert board.drain("", False).steps == []


def test_what_a_restart_left_unfinished_is_let_go() -> None:
    board = Board()
    board.report(3, "source", b"old", last=False)
    for step in (4, 5):
        board.report(step, "source", b"s", last=False)
        board.report(step, "learner", b"l", last=True)
    assert [step.step for step in board.drain("", False).steps] == [4, 5]
    assert board._open == {}


def test_a_step_done_again_after_a_restart_is_told_again() -> None:
    board = Board()
    for _ in range(2):
        board.report(2, "source", b"s", last=False)
        board.report(2, "learner", b"l", last=True)
    assert [step.step for step in board.drain("", False).steps] == [2, 2]


def test_the_wish_to_stop_is_that_of_the_last_drain() -> None:
    board = Board()
    assert board.stop == ""
    board.drain("Ctrl-C", False)
    assert board.stop == "Ctrl-C"


def test_why_the_run_cannot_go_on_is_told_until_it_ends_and_the_first_reason_counts() -> None:
    board = Board()
    assert board.drain("", False).failure == ""
    board.fail("no batch", "look at the logs")
    board.fail("no batch either", "")
    told = [board.drain("", False) for _ in range(2)]
    assert [(one.failure, one.mend) for one in told] == [("no batch", "look at the logs")] * 2


def test_players_play_once_the_driver_says_so_and_a_hub_that_begins_anew_knows_of_none() -> None:
    board = Board()
    assert not board.playing
    board.drain("", True)
    assert board.playing
    assert not Board().playing


def test_a_hub_that_begins_anew_hears_what_is_published_from_whoever_waits_for_players() -> None:
    board = Board()
    assert not board.plays(-1)
    assert board.drain("", False).published == -1, "nothing is published yet"
    assert not board.plays(7)
    assert board.drain("", True).published == 7
    assert board.plays(-1)
    assert board.drain("", True).published == 7, "ranks that were restarted have published nothing themselves"


def test_news_and_publications_are_handed_on_once() -> None:
    board = Board()
    assert board.drain("", False).published == -1
    board.publish(4)
    board.say("lineage 1")
    drained = board.drain("", False)
    assert (drained.published, drained.news) == (4, ["lineage 1"])
    assert board.drain("", False).news == []


def test_metrics_of_no_step_are_handed_on_once() -> None:
    board = Board()
    board.add(b"sync")
    assert board.drain("", False).loose == [b"sync"]
    assert board.drain("", False).loose == []


def test_a_driver_that_does_not_listen_costs_no_memory() -> None:
    board = Board()
    for step in range(2 * KEPT_STEPS):
        board.report(step, "learner", b"", last=True)
        board.say("line")
    drained = board.drain("", False)
    assert len(drained.steps) == len(drained.news) == KEPT_STEPS
    assert drained.steps[-1].step == 2 * KEPT_STEPS - 1


def test_what_an_answer_held_that_nobody_heard_is_handed_over_again_once_and_in_its_order() -> None:
    board = hub.Board()
    board.report(1, "learner", b"1", last=True)
    board.say("one")
    board.add(b"one")
    late = board.drain("", True)
    board.report(2, "learner", b"2", last=True)
    board.say("two")
    board.add(b"two")
    heard = board.drain("", True)
    assert late.number < heard.number
    assert [step.step for step in heard.steps] == [1, 2]
    assert (heard.news, heard.loose) == (["one", "two"], [b"one", b"two"])
    after = board.drain("", True, heard.number)
    assert (after.steps, after.news, after.loose) == ([], [], [])


def test_answers_that_nobody_hears_cost_no_memory() -> None:
    board = hub.Board()
    for step in range(2 * KEPT_STEPS):
        board.report(step, "learner", b"", last=True)
        board.say("line")
        drained = board.drain("", False)
    assert len(drained.steps) == len(drained.news) == KEPT_STEPS
    assert drained.steps[-1].step == 2 * KEPT_STEPS - 1


def test_a_hub_that_begins_anew_does_not_take_the_number_of_the_one_before_for_its_own() -> None:
    """Its first answer may be lost as well."""
    old = hub.Board(number=1_000)
    heard = old.drain("", True).number
    new = hub.Board(number=2_000)
    new.say("back")
    new.drain("", True, heard)
    assert new.drain("", True, heard).news == ["back"]
