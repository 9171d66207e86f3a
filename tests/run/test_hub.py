"""The hub: steps are complete or not told, wishes to stop are the driver's latest, nothing grows without bound."""

from __future__ import annotations

from azr.run.hub import KEPT_STEPS, Board, StepParts


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
