"""A tracker behind a queue: slow, failing, dead or hanging, it never holds the run up and never raises into it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import pytest

from azr.run.tracking.background import Background
from azr.run.tracking.base import RunInfo, flattened
from azr.run.tracking.earlier import Report

RUN = RunInfo(name="one", folder="/runs/one", parameters={"run.seed": "0"})


class Fake:
    """A tracker that does what the test says and keeps the order of events."""

    name = "fake"

    def __init__(self, during: Callable[[str], object] = lambda _: None) -> None:
        self.seen: list[str] = []
        self._during = during

    def _call(self, what: str) -> None:
        self._during(what)
        self.seen.append(what)

    def start(self, run: RunInfo) -> None:
        self._call(f"start {run.name}")

    def metrics(self, step: int, values: Mapping[str, float], at: float) -> None:
        self._call(f"metrics {step} {dict(values)}")

    def artifact(self, path: Path) -> None:
        self._call(f"artifact {path}")

    def finish(self, status: str) -> None:
        self._call(f"finish {status}")


def behind(
    tracker: Fake, told: list[str], *, capacity: int = 100, timeout: float = 10.0, first_pause: float = 0.001
) -> Background:
    return Background(
        tracker.name, lambda: tracker, told.append, capacity=capacity, timeout=timeout, first_pause=first_pause
    )


def test_everything_arrives_in_order_and_the_end_waits_for_it() -> None:
    tracker, told = Fake(), list[str]()
    background = behind(tracker, told)
    background.start(RUN)
    background.metrics(1, {"reward/mean": 0.5}, 0.0)
    background.artifact(Path("config.yaml"))
    background.finish("finished")
    assert tracker.seen == ["start one", "metrics 1 {'reward/mean': 0.5}", "artifact config.yaml", "finish finished"]
    assert told == []


def test_values_are_those_of_the_moment_they_were_reported() -> None:
    tracker = Fake()
    background = behind(tracker, [])
    values = {"reward/mean": 0.5}
    background.metrics(1, values, 0.0)
    values["reward/mean"] = 9.0
    background.start(RUN)
    background.finish("finished")
    assert "metrics 1 {'reward/mean': 0.5}" in tracker.seen


def test_a_slow_tracker_holds_nobody_up_and_the_oldest_reports_go() -> None:
    gate, told = threading.Event(), list[str]()
    tracker = Fake(lambda what: None if not what.startswith("start") else gate.wait(10) and None)
    background = behind(tracker, told, capacity=3)
    background.start(RUN)
    began = time.perf_counter()
    for step in range(10):
        background.metrics(step, {}, 0.0)
    assert time.perf_counter() - began < 1.0
    gate.set()
    background.finish("finished")
    assert tracker.seen[0] == "start one"
    assert tracker.seen[-1] == "finish finished"
    assert "metrics 9 {}" in tracker.seen
    assert "metrics 0 {}" not in tracker.seen
    assert background.lost >= 7
    assert "reports were lost" in told[-1]


def test_an_outage_is_said_once_and_so_is_its_end() -> None:
    failures, told = [0], list[str]()

    def during(what: str) -> None:
        if what.startswith("metrics 1") and failures[0] < 2:
            failures[0] += 1
            raise ConnectionError("no route\x1b[31m")

    tracker = Fake(during)
    background = behind(tracker, told)
    background.start(RUN)
    background.metrics(1, {}, 0.0)
    background.metrics(2, {}, 0.0)
    background.finish("finished")
    assert told == [
        "fake does not answer (no route\\x1b[31m); the run goes on and tries again",
        "fake answers again",
    ]
    assert tracker.seen == ["start one", "metrics 1 {}", "metrics 2 {}", "finish finished"]


def test_a_report_that_always_fails_does_not_block_the_next() -> None:
    def during(what: str) -> None:
        if what.startswith("metrics 1"):
            raise ValueError("bad name")

    tracker, told = Fake(during), list[str]()
    background = behind(tracker, told)
    background.start(RUN)
    background.metrics(1, {}, 0.0)
    background.metrics(2, {}, 0.0)
    background.finish("finished")
    assert tracker.seen == ["start one", "metrics 2 {}", "finish finished"]
    assert background.lost == 1


def test_a_tracker_that_never_starts_is_given_up_at_the_end_within_the_timeout() -> None:
    def during(_: str) -> None:
        raise ConnectionError("refused")

    told: list[str] = []
    background = behind(Fake(during), told, timeout=5.0)
    background.start(RUN)
    background.metrics(1, {}, 0.0)
    began = time.perf_counter()
    background.finish("finished")
    assert time.perf_counter() - began < 4.0
    assert told[0].startswith("fake does not answer (refused)")
    assert "2 reports were lost" in told[-1]


def test_a_tracker_that_cannot_be_made_fails_like_one_that_does_not_answer() -> None:
    """Its constructor may ask for an account, or a server; a run must not end for it."""
    tracker, told, tries = Lasting(), list[str](), [0]

    def make() -> Lasting:
        tries[0] += 1
        if tries[0] == 1:
            raise KeyError("MY_ACCOUNT")
        return tracker

    background = Background("mine", make, told.append, capacity=100, timeout=10.0, first_pause=0.001)
    background.catch_up(earlier((1, 1.0)))
    background.start(RUN)
    background.metrics(1, {}, 0.0)
    background.finish("finished")
    assert tries == [2]
    assert tracker.seen == ["start one", "metrics 1 {}", "finish finished"]
    assert told == ["mine does not answer ('MY_ACCOUNT'); the run goes on and tries again", "mine answers again"]


def test_a_tracker_that_hangs_is_left_behind_at_the_timeout() -> None:
    gate = threading.Event()
    told: list[str] = []
    background = behind(Fake(lambda _: gate.wait(20) and None), told, timeout=0.05)
    background.start(RUN)
    background.metrics(1, {}, 0.0)
    began = time.perf_counter()
    background.finish("failed")
    assert time.perf_counter() - began < 2.0
    assert "reports were lost" in told[-1]
    gate.set()


class Lasting(Fake):
    """One that takes more after its end."""

    ends_first: Literal[True] = True


def test_one_that_takes_more_after_its_end_hears_of_it_before_all_that_waits() -> None:
    gate = threading.Event()
    tracker = Lasting(lambda what: None if not what.startswith("start") else gate.wait(10) and None)
    background = behind(tracker, [])
    background.start(RUN)
    background.metrics(1, {}, 0.0)
    background.over("finished")
    background.artifact(Path("tasks.jsonl"))
    gate.set()
    background.finish("finished")
    end = "finish finished"
    assert tracker.seen == ["start one", end, "metrics 1 {}", "artifact tasks.jsonl", end]


def test_a_queue_that_is_full_takes_nothing_of_how_the_run_ends() -> None:
    gate, told = threading.Event(), list[str]()
    tracker = Lasting(lambda what: None if not what.startswith("start") else gate.wait(10) and None)
    background = behind(tracker, told, capacity=3)
    background.start(RUN)
    for step in (1, 2, 3):
        background.metrics(step, {}, 0.0)
    background.over("failed")
    background.over("failed")  # once more, at the driver's end
    for name in ("a", "b", "c", "d", "e"):
        background.artifact(Path(name))
    gate.set()
    background.finish("failed")
    assert tracker.seen[:2] == ["start one", "finish failed"]
    assert tracker.seen[-1] == "finish failed"
    assert tracker.seen.count("finish failed") == 2, "what was told twice ahead is told once"
    assert not any(what.startswith("metrics") for what in tracker.seen)
    assert background.lost >= 5


def test_one_that_is_away_as_the_run_comes_to_its_end_is_given_time_until_it_has_ended() -> None:
    """Between the two lies all that is taken down, for which a server that restarts is back."""
    first, second = threading.Event(), threading.Event()

    def during(what: str) -> None:
        if what.startswith("finish") and not first.is_set():
            first.set()
            raise ConnectionError("restarting")
        if what.startswith("finish"):
            second.set()

    tracker, told = Lasting(during), list[str]()
    background = behind(tracker, told, timeout=60.0, first_pause=600.0)
    background.start(RUN)
    background.over("stopped")
    assert first.wait(20)
    assert not second.wait(0.2), "it was asked again without a pause"
    background.finish("stopped")
    assert tracker.seen == ["start one", "finish stopped", "finish stopped"]
    assert background.lost == 0


def test_a_file_that_takes_longer_than_there_is_time_leaves_no_run_that_seems_to_go_on() -> None:
    reached, gate, told = threading.Event(), threading.Event(), list[str]()

    def during(what: str) -> None:
        if what.startswith("artifact"):
            reached.set()
            gate.wait(60)

    tracker = Lasting(during)
    background = behind(tracker, told, timeout=0.05)
    background.start(RUN)
    background.over("stopped")
    background.artifact(Path("tasks.jsonl"))
    assert reached.wait(20)
    background.finish("stopped")
    assert tracker.seen == ["start one", "finish stopped"]
    assert "reports were lost" in told[-1], "the file"
    gate.set()


@pytest.mark.parametrize("kind", [Fake, Lasting])
def test_how_a_run_ends_is_told_ahead_to_those_who_can_be_told_otherwise_later(kind: type[Fake]) -> None:
    """A driver may be gone before it comes to its end."""
    heard, gate = threading.Event(), threading.Event()

    def during(what: str) -> None:
        if what.startswith("finish"):
            heard.set()
            gate.wait(60)

    tracker = kind(during)
    background = behind(tracker, [])
    background.start(RUN)
    background.over("failed")
    ahead = ["finish failed"] if kind is Lasting else []
    if ahead:
        assert heard.wait(20)
    assert "finish failed" not in tracker.seen, "nobody is waited for"
    gate.set()
    background.artifact(Path("report.html"))
    background.finish("stopped")
    assert tracker.seen == ["start one", *ahead, "artifact report.html", "finish stopped"]


class Remembering(Fake):
    """One that can say what it has: by the marks of steps, and of evaluations."""

    def __init__(self, has: set[tuple[int, int]], during: Callable[[str], object] = lambda _: None) -> None:
        super().__init__(during)
        self.has = has

    def told(self, name: str) -> set[tuple[int, int]]:
        self._call(f"told {name}")
        return self.has if name == "time/elapsed" else set()

    def metrics(self, step: int, values: Mapping[str, float], at: float) -> None:
        super().metrics(step, values, at)
        self.has = self.has | {(step, round(at * 1000))}


def earlier(*reports: tuple[int, float]) -> Callable[[int], list[Report]]:
    """Steps and their moments, the newest so many of them."""
    return lambda newest: [Report(step, {"time/elapsed": 1.0}, at) for step, at in reports][-newest:]


ASKS = ["told time/elapsed", "told time/evaluation"]


def test_a_tracker_is_told_what_it_lacks_of_earlier_drivers_before_anything_new() -> None:
    tracker, told = Remembering({(1, 1000), (2, 7777)}), list[str]()
    background = behind(tracker, told)
    background.start(RUN)
    background.catch_up(earlier((1, 1.0), (2, 2.0), (3, 3.0)))
    background.metrics(4, {}, 4.0)
    background.finish("finished")
    lacking = [f"metrics {step} {{'time/elapsed': 1.0}}" for step in (2, 3)]
    assert tracker.seen == ["start one", *ASKS, *lacking, "metrics 4 {}", "finish finished"], "2 was done again since"
    assert told == []


def test_it_is_asked_for_as_many_as_a_queue_holds() -> None:
    tracker = Remembering(set())
    background = behind(tracker, [], capacity=3)
    background.catch_up(earlier(*((step, float(step)) for step in range(9))))
    background.start(RUN)
    background.finish("finished")
    assert [what for what in tracker.seen if what.startswith("metrics")] == [
        f"metrics {step} {{'time/elapsed': 1.0}}" for step in (6, 7, 8)
    ]


def test_interrupted_by_a_failure_it_goes_on_with_what_is_lacking_by_then() -> None:
    failures = [0]

    def during(what: str) -> None:
        if what.startswith("metrics 2") and not failures[0]:
            failures[0] += 1
            raise ConnectionError("gone for a moment")

    tracker, told = Remembering(set(), during), list[str]()
    background = behind(tracker, told)
    background.start(RUN)
    background.catch_up(earlier((1, 1.0), (2, 2.0)))
    background.finish("finished")
    once = [f"metrics {step} {{'time/elapsed': 1.0}}" for step in (1, 2)]
    assert tracker.seen == ["start one", *ASKS, once[0], *ASKS, once[1], "finish finished"]
    assert told == [
        "fake does not answer (gone for a moment); the run goes on and tries again",
        "fake answers again",
    ]


def test_what_nobody_knows_by_anything_is_not_told_twice() -> None:
    tracker = Remembering(set())
    background = behind(tracker, [])
    background.start(RUN)
    background.catch_up(lambda _: [Report(1, {"loss/policy": 0.5}, 1.0)])
    background.finish("finished")
    assert tracker.seen == ["start one", *ASKS, "finish finished"]


def test_a_tracker_that_cannot_say_what_it_has_is_not_asked() -> None:
    tracker = Fake()
    background = behind(tracker, [])
    background.start(RUN)
    background.catch_up(earlier((1, 1.0)))
    background.finish("finished")
    assert tracker.seen == ["start one", "finish finished"]


@pytest.mark.parametrize(
    ("nested", "flat"),
    [
        ({}, {}),
        ({"run": {"seed": 7, "name": "a"}}, {"run.seed": "7", "run.name": "a"}),
        ({"a": {"b": {"c": [1, 2]}}, "d": None}, {"a.b.c": "[1, 2]", "d": "None"}),
    ],
)
def test_a_configuration_is_flattened_to_dotted_keys(nested: dict[str, object], flat: dict[str, str]) -> None:
    assert flattened(nested) == flat
