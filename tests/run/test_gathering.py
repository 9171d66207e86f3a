"""What services and engines say, as metrics: totals once, rates from differences."""

from __future__ import annotations

import pytest

from actors.engine.records import EngineStatistics
from actors.services.records import Books, Position, ProcessReport
from actors.services.task_service import Stock
from actors.weights.records import State
from azr.buffers.task_buffer import Status
from azr.config.sections.staleness import StalenessConfig
from azr.game.types import Version
from azr.ledger.ledger import Account, Count
from azr.metrics import Accumulator
from azr.run.gathering import (
    REMEMBERED,
    EnginesStand,
    Rate,
    TrainedShare,
    tell_books,
    tell_engines,
    tell_stocks,
    trained_share,
)


def process(name: str = "experience-0") -> ProcessReport:
    return ProcessReport(
        name=name, seconds_up=5.0, journal_bytes=100, calls=7, syncs=3, longest_sync=0.01, loop_lag=0.002
    )


def books(**changes: object) -> Books:
    account = Account(
        generated=Count(10, 1000), trained=Count(6, 600), discarded={"stale": Count(1, 100), "lost": Count(1, 50)}
    )
    told = Books(
        accounts={"deduction/solve": account},
        in_flight={"deduction/solve": Count(2, 250)},
        swept_shares=(0.0, 0.0, 0.005, 0.02),
        position=Position(0, 3, Version(0, 3)),
        process=process(),
    )
    for name, value in changes.items():
        setattr(told, name, value)
    return told


def test_books_of_all_shards_add_up() -> None:
    metrics = Accumulator()
    tell_books(metrics, [books(), books(process=process("experience-1"))], StalenessConfig())
    told = metrics.report()
    assert told["ledger/generated/deduction/solve"] == 20.0
    assert told["ledger/trained_tokens/deduction/solve"] == 1200.0
    assert told["ledger/discarded/stale"] == 2.0
    assert told["ledger/in_flight/deduction/solve"] == 4.0
    assert told["off_policy/swept_length_q4"] == 0.02
    for order in (1, -1):
        worst = Accumulator()
        shards = [books(swept_shares=(0.0, 0.0, 0.0, 0.5)), books()][::order]
        tell_books(worst, shards, StalenessConfig())
        assert worst.report()["off_policy/swept_length_q4"] == 0.5, "the worst shard's, whichever is told last"
    assert told["off_policy/swept_length_alarm"] == 1.0
    assert told["service/calls/experience-1"] == 7.0


def test_no_alarm_where_no_quarter_loses_more_than_it_may() -> None:
    metrics = Accumulator()
    tell_books(metrics, [books(swept_shares=(0.0, 0.0, 0.0, 0.01))], StalenessConfig())
    assert metrics.report()["off_policy/swept_length_alarm"] == 0.0


def test_the_trained_share_leaves_out_what_is_not_settled_and_what_has_no_variance() -> None:
    """600 trained, of which 100 carry no gradient; 1000 made, 250 of them in flight: 500 of 650."""
    assert trained_share([books()], 100.0) == pytest.approx(500 / 650)
    assert trained_share([books()], 100.0, 130.0) == pytest.approx(370 / 650), "130 more were kept out of the gradient"
    assert trained_share([books(), books()], 0.0) == pytest.approx(1200 / 1500)
    assert trained_share([], 0.0) is None


def told(flat: float, withheld: float = 0.0) -> dict[str, float]:
    """Of a step: what was taken so far and carries no gradient."""
    return {"ledger/without_variance_tokens": flat, "ledger/withheld_tokens": withheld}


def at(step: int, lineage: int = 0) -> Books:
    return books(position=Position(lineage, step, Version(lineage, step)))


class TestTheShareIsOfOneStep:
    """600 trained, 1000 made, 250 in flight: of which the tokens without variance go that the books know as trained."""

    def test_what_was_told_of_a_batch_that_the_books_do_not_know_as_trained_yet_is_not_taken_off(self) -> None:
        share = TrainedShare()
        share.told(3, told(100.0))
        share.told(4, told(900.0))
        assert share.of([at(3)]) == pytest.approx(500 / 650), "and not -300 of -150, which is 200 %"

    def test_books_ahead_of_what_was_told_tell_no_share_until_it_is(self) -> None:
        share = TrainedShare()
        share.told(3, told(100.0))
        assert share.of([at(4)]) is None
        share.told(4, told(150.0, 50.0))
        assert share.of([at(4)]) == pytest.approx(400 / 600)

    def test_shards_between_whose_commits_they_were_asked_tell_none(self) -> None:
        share = TrainedShare()
        for step in (3, 4):
            share.told(step, told(100.0))
        assert share.of([at(3), at(4)]) is None
        assert share.of([at(4), at(4)]) == pytest.approx(1100 / 1400)
        assert share.of([]) is None

    def test_of_steps_that_are_done_again_the_new_ones_count(self) -> None:
        share = TrainedShare()
        for step, flat in ((3, 100.0), (4, 200.0), (5, 300.0)):
            share.told(step, told(flat))
        share.told(4, told(150.0))
        assert share.of([at(5)]) is None
        assert share.of([at(4)]) == pytest.approx(450 / 600)

    def test_after_a_resume_steps_of_the_lineage_before_are_nobodys(self) -> None:
        share = TrainedShare()
        for step in (3, 4):
            share.told(step, told(100.0))
        assert share.of([at(4)]) == pytest.approx(500 / 650)
        assert share.of([at(4, lineage=1)]) is None
        share.told(5, told(100.0))
        assert share.of([at(5, lineage=1)]) == pytest.approx(500 / 650)

    def test_the_first_step_of_a_resumed_driver_has_a_share(self) -> None:
        share = TrainedShare()
        share.told(5, told(100.0))
        assert share.of([at(5, lineage=3)]) == pytest.approx(500 / 650)

    def test_little_is_remembered(self) -> None:
        share = TrainedShare()
        for step in range(1, 2000):
            share.told(step, told(0.0))
        assert len(share._kept_out) == REMEMBERED
        assert share.of([at(1999)]) is not None


def test_stocks_of_all_shards_add_up_and_means_are_weighted_by_tasks() -> None:
    def stock(tasks: int, learnability: float) -> Stock:
        status = Status(tasks, 2, 1, 3, 4, 5, 1.5, 2.5, learnability)
        return Stock(buffers={"deduction": status}, step=3, process=process("tasks-0"))

    metrics = Accumulator()
    tell_stocks(metrics, [stock(30, 0.9), stock(10, 0.5), stock(0, 0.0)])
    told = metrics.report()
    assert told["buffer/tasks/deduction"] == 40.0
    assert told["buffer/duplicates/deduction"] == 15.0
    assert told["buffer/learnability_mean/deduction"] == pytest.approx(0.8)


def test_rates_of_engines_are_differences() -> None:
    before = {"a": EngineStatistics(seconds=10.0, generated_tokens=1000, busy_seconds=9.0)}
    now = {
        "a": EngineStatistics(seconds=12.0, generated_tokens=3000, busy_seconds=10.5, running=8, kv_use=0.5),
        "b": EngineStatistics(seconds=2.0, generated_tokens=200, busy_seconds=2.0),
    }
    before["b"] = EngineStatistics()
    metrics = Accumulator()
    tell_engines(metrics, EnginesStand(now), EnginesStand(before), 3)
    told = metrics.report()
    assert told["perf/generated_tokens_per_second"] == pytest.approx(1000.0 + 100.0)
    assert told["perf/rollout_idle"] == pytest.approx(0.5 / 4.0)
    assert told["rollout/running/a"] == 8.0


def test_what_an_engine_did_before_it_was_heard_of_is_no_part_of_a_rate() -> None:
    """At a driver's first step: its start, the evaluation before training, seeding."""
    metrics = Accumulator()
    now = {"a": EngineStatistics(seconds=100.0, generated_tokens=9000, busy_seconds=10.0, preempted=7, running=8)}
    tell_engines(metrics, EnginesStand(now), EnginesStand(), 1)
    assert (
        metrics.report()
        .keys()
        .isdisjoint({"perf/rollout_idle", "perf/generated_tokens_per_second", "rollout/preempted/a"})
    )
    assert metrics.report()["rollout/running/a"] == 8.0


def test_an_engine_that_a_restarted_registry_did_not_know_for_a_while_goes_on_where_it_was() -> None:
    busy = {name: EngineStatistics(seconds=1000.0, generated_tokens=10**6, busy_seconds=1000.0) for name in "ab"}
    before = EnginesStand({"a": busy["a"]}).after(EnginesStand(busy))
    later = EngineStatistics(seconds=1002.0, generated_tokens=10**6 + 2000, busy_seconds=1002.0)
    metrics = Accumulator()
    tell_engines(metrics, EnginesStand({"a": later, "b": later}), before, 3)
    assert metrics.report()["perf/rollout_idle"] == 0.0
    assert metrics.report()["perf/generated_tokens_per_second"] == pytest.approx(2 * 1000.0)


def test_engines_that_are_gone_are_not_remembered_for_ever() -> None:
    stand = EnginesStand()
    for number in range(2 * REMEMBERED):
        stand = EnginesStand({f"engine-{number}": EngineStatistics()}).after(stand)
    assert len(stand.engines) == REMEMBERED
    assert list(stand.engines)[-1] == f"engine-{2 * REMEMBERED - 1}", "the newest are"


def test_an_engine_that_began_anew_counts_from_its_start() -> None:
    before = {"a": EngineStatistics(seconds=100.0, generated_tokens=9000, busy_seconds=90.0)}
    metrics = Accumulator()
    now = {"a": EngineStatistics(seconds=4.0, generated_tokens=400, busy_seconds=4.0)}
    tell_engines(metrics, EnginesStand(now), EnginesStand(before), 3)
    assert metrics.report()["perf/generated_tokens_per_second"] == 100.0
    assert metrics.report()["perf/rollout_idle"] == 0.0


def test_replicas_are_those_that_serve_and_not_those_that_stand_by_or_make_an_engine() -> None:
    states: dict[str, State] = {"a": "serving", "b": "standby", "c": "starting", "d": "serving", "e": "leaving"}
    metrics = Accumulator()
    tell_engines(metrics, EnginesStand(dict.fromkeys(states, EngineStatistics()), states), EnginesStand(), 3)
    assert metrics.report()["rollout/replicas"] == 2.0


def restarts(now: EnginesStand, before: EnginesStand) -> float:
    metrics = Accumulator()
    tell_engines(metrics, now, before, 3)
    return metrics.report()["rollout/restarts"]


def test_engines_that_were_replaced_are_counted_and_one_that_only_stands_by_now_is_not() -> None:
    before = {name: EngineStatistics(seconds=100.0) for name in ("new engine", "makes one", "stands by", "same")}
    now = {
        "new engine": EngineStatistics(seconds=4.0),
        "makes one": EngineStatistics(),
        "stands by": EngineStatistics(),
        "same": EngineStatistics(seconds=110.0),
        "another": EngineStatistics(seconds=4.0),
    }
    states: dict[str, State] = {"makes one": "starting", "stands by": "standby"}
    assert restarts(EnginesStand(now, states), EnginesStand(before)) == 2.0
    made = EnginesStand(now | {"makes one": EngineStatistics(seconds=3.0)})
    assert restarts(made, EnginesStand(now, states)) == 0.0, "it was counted when it was lost"


def test_a_replica_that_was_lost_is_a_restart_and_one_that_was_scaled_away_is_none() -> None:
    before = EnginesStand({name: EngineStatistics(seconds=100.0) for name in "ab"}, lost=3)
    now = {"a": EngineStatistics(seconds=110.0)}
    assert restarts(EnginesStand(now, lost=3), before) == 0.0
    assert restarts(EnginesStand(now, lost=4), before) == 1.0
    assert restarts(EnginesStand(now, lost=1), before) == 1.0, "the registry was restarted and lost one since"


def test_no_time_passed_tells_no_rate() -> None:
    same = {"a": EngineStatistics(seconds=4.0)}
    metrics = Accumulator()
    tell_engines(metrics, EnginesStand(same), EnginesStand(same), 3)
    assert "perf/rollout_idle" not in metrics.report()


def test_a_rate_is_over_the_time_in_which_its_counts_were_made_however_short_the_steps() -> None:
    rate = Rate(now=100.0)
    told = [rate.told(count, now) for count, now in ((400.0, 100.4), (0.0, 102.0), (600.0, 102.5), (0.0, 105.0))]
    assert told == [None, None, None, 200.0], "a thousand in five seconds"
    assert rate.told(0.0, 109.9) is None
    assert rate.told(1_200.0, 111.0) == 200.0, "a long step is told whole"
    assert rate.told(0.0, 116.0) == 0.0
