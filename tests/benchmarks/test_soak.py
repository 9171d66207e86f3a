"""What a soak makes of what it saw, by outcomes written by hand. The soak itself: `tests/run/test_soak.py`."""

from __future__ import annotations

import itertools
import json
import random
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from azr.bench import Report
from azr.errors import AzrError
from azr.run.folder import RunFolder
from benchmarks import soak
from benchmarks.audit import Audit
from benchmarks.growth import Memory
from benchmarks.processes import Seen
from benchmarks.soak import FATAL, KINDS, SERVING, STEPS, WRITERS, Kill, Outcome, Soak, disagreements, tell, versions
from benchmarks.victims import DRIVER, TITLES
from benchmarks.whole_run import Step


def step(number: int, sequences: float = 0.0, seconds: float = 1.0) -> Step:
    values = {"time/step": seconds, "batch/sequences/deduction/solve": sequences - 1, "batch/sequences/x/propose": 1}
    return Step(number, 100.0 + number, values)


def kill(kind: str, after: int, told: list[int], recovered: float | None = 4.0) -> Kill:
    return Kill(kind, 7, 100.0, after, 1, back=2.0, recovered=recovered, steps=told)


def test_every_kind_of_process_is_killed_and_the_driver_like_the_others() -> None:
    assert set(KINDS) == {*TITLES, DRIVER}
    assert KINDS.count("engine") == KINDS.count(DRIVER) == 2
    assert set(FATAL) < set(WRITERS) <= set(KINDS)


def test_versions_are_told_by_replica() -> None:
    values = {"sync/version/a": 4.0, "sync/version/b": 3.0, "sync/failures": 0.0, "rollout/replicas": 2.0}
    assert versions(Step(4, 1.0, values)) == {"sync/version/a": 4.0, "sync/version/b": 3.0}


def audited() -> Audit:
    audit = Audit()
    audit.sizes = {0: [16], 1: [16, 24]}
    return audit


class TestDisagreements:
    def test_a_step_told_as_the_books_gave_it_out_is_none(self) -> None:
        """Step n is made of the batch for step n - 1; one that was undone was told as well."""
        assert disagreements([step(1, 16), step(2, 16), step(2, 24)], audited()) == []

    def test_another_size_and_an_unknown_step_are(self) -> None:
        assert disagreements([step(1, 17), step(3, 16)], audited()) == [
            "step 1 told 17 sequences, the books [16]",
            "step 3 told 16 sequences, the books None",
        ]

    def test_a_step_whose_batch_was_not_told_says_nothing(self) -> None:
        assert disagreements([Step(9, 1.0, {"time/step": 1.0})], audited()) == []


class Process:
    """A process that does what its world does when it is killed."""

    def __init__(self, world: World, kind: str, pid: int) -> None:
        self.world, self.kind, self.pid = world, kind, pid

    def kill(self) -> None:
        self.world.killed(self)

    def is_running(self) -> bool:
        return False


#: Steps made by the other engine alone after one was killed.
AWAY = 6


class World:
    """A run in which a step is told at each look, while a driver lives; its parts come back by themselves."""

    def __init__(self, tmp_path: Path, kinds: Sequence[str], mortal: Sequence[str] = ()) -> None:
        self.folder, self.output = RunFolder(tmp_path / "run"), tmp_path / "run.txt"
        self.folder.root.mkdir()
        self.drivers: list[World] = []
        self.returncode: int | None = None
        self.alive = False
        self.told: list[str] = []
        self._kinds, self._mortal, self._pids = kinds, {DRIVER, *mortal}, itertools.count(10)
        self._steps = itertools.count(1)
        self._looks_since_start = 0
        self._away = 0

    @property
    def driver(self) -> World:
        return self

    def start(self) -> None:
        self.drivers.append(self)
        self.alive, self.returncode, self._looks_since_start = True, None, 0

    def look(self) -> list[Seen]:
        self._looks_since_start += 1
        if self.alive and self._looks_since_start > 3:
            with self.folder.metrics.open("a") as file:
                number, self._away = next(self._steps), self._away - 1
                line = {"step": number, "at": time.time(), "learner/step": 1, "time/step": 1.0}
                line |= {f"sync/version/{name}": number for name in ("a" if self._away > 0 else "ab")}
                file.write(json.dumps(line) + "\n")
        found = [DRIVER, *self._kinds] if self.alive else []
        return [Seen(kind, Process(self, kind, next(self._pids)), 100) for kind in found]

    def killed(self, process: Process) -> None:
        self.told.append(f"{process.kind} killed {'under way' if self._looks_since_start > 3 else 'too soon'}")
        if process.kind in SERVING:
            self._away = AWAY
        if process.kind in self._mortal:
            self.alive, self.returncode = False, -9 if process.kind == DRIVER else 1

    def note(self, line: str) -> None:
        pass

    def stop(self, _seconds: float) -> int:
        self.alive = False
        return 0


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soak, "LOOK_SECONDS", 0.005)


@pytest.mark.usefixtures("quick")
class TestCarryingOut:
    @staticmethod
    def carried_out(world: World, *kinds: str, seconds: float = 0.3) -> Outcome:
        at = [seconds * number / (len(kinds) + 1) for number in range(1, len(kinds) + 1)]
        return Soak(world, random.Random(1)).carry_out(kinds, at, seconds)  # type: ignore[arg-type]

    def test_each_kind_is_killed_and_two_steps_are_waited_for(self, tmp_path: Path) -> None:
        outcome = self.carried_out(World(tmp_path, ["engine", "hub"]), "hub", "engine")
        assert [one.kind for one in outcome.kills] == ["hub", "engine"]
        assert all(one.recovered is not None and one.back is not None for one in outcome.kills)
        assert (outcome.ended, outcome.spared, outcome.status) == ([], [], 0)

    def test_an_engine_is_waited_for_until_all_serve_what_was_published_since(self, tmp_path: Path) -> None:
        """Six steps are the other engine's; the first told after the kill may be of before it."""
        outcome = self.carried_out(World(tmp_path, ["engine", "hub"]), "hub", "engine")
        hub, engine = outcome.kills
        assert (hub.served, hub.awaited, engine.awaited, engine.superseded) == (None, False, False, False)
        assert engine.served is not None
        assert engine.recovered is not None
        at = {step.number: step.at for step in outcome.steps}
        first = next(step.number for step in outcome.steps if step.at > engine.at)
        assert engine.served == pytest.approx(at[first + AWAY - 1] - engine.at)
        assert at[first + STEPS - 1] - engine.at < engine.served, "two more steps come long before"
        assert engine.serving == {"sync/version/a", "sync/version/b"}

    def test_an_engine_that_a_driver_took_along_is_not_that_kills_any_more(self, tmp_path: Path) -> None:
        class Halved(World):
            """One engine never serves again by itself."""

            def killed(self, process: Process) -> None:
                super().killed(process)
                self._away = 1 << 30

            def start(self) -> None:
                super().start()
                self._away = 0

        outcome = self.carried_out(Halved(tmp_path, ["engine"]), "engine", DRIVER)
        engine = outcome.kills[0]
        assert (engine.served, engine.superseded, engine.awaited) == (None, True, False)

    def test_an_engine_that_never_serves_again_is_given_up_in_the_end(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(soak, "PATIENCE_SECONDS", 1.0)
        monkeypatch.setattr("tests.benchmarks.test_soak.AWAY", 1 << 30)
        [engine] = self.carried_out(World(tmp_path, ["engine"]), "engine").kills
        assert engine.awaited

    def test_a_kind_of_which_there_is_nobody_makes_way_for_the_next_and_is_told(self, tmp_path: Path) -> None:
        outcome = self.carried_out(World(tmp_path, ["engine"]), "dashboard", "engine")
        assert [one.kind for one in outcome.kills] == ["engine"]
        assert outcome.spared == ["dashboard"]

    def test_a_killed_driver_is_started_again_and_spared_until_it_has_told_a_step(self, tmp_path: Path) -> None:
        world = World(tmp_path, [])
        outcome = self.carried_out(world, DRIVER, DRIVER)
        assert len(world.drivers) == 3
        assert world.told == ["driver killed under way"] * 2
        assert not any(one.starting for one in outcome.kills)
        assert outcome.ended == []

    def test_a_driver_that_goes_with_ray_was_doomed(self, tmp_path: Path) -> None:
        world = World(tmp_path, ["gcs"], mortal=["gcs"])
        assert self.carried_out(world, "gcs").ended == []
        assert len(world.drivers) == 2

    def test_a_driver_that_could_have_gone_on_is_held_against_the_run(self, tmp_path: Path) -> None:
        world = World(tmp_path, ["hub"], mortal=["hub"])
        assert self.carried_out(world, "hub").ended == ["driver 1 ended with status 1 after hub"]

    def test_a_run_that_cannot_begin_is_given_up(self, tmp_path: Path) -> None:
        class Stillborn(World):
            def start(self) -> None:
                self.drivers.append(self)
                self.returncode = 1

        with pytest.raises(AzrError, match="3 drivers ended without a step"):
            self.carried_out(Stillborn(tmp_path, []), "hub")


def test_recovery_is_told_by_kind_and_engines_are_held_to_their_bound() -> None:
    memory = Memory()
    memory.by_kind["driver"] = [100.0] * 40
    steps = [step(number) for number in range(1, 41)]
    kills = [kill("engine", 3, [4, 5], 9.0), kill("engine", 8, [9, 10], 8.0), kill(DRIVER, 14, [11, 12])]
    kills[:2] = [replace(kills[0], served=14.0), replace(kills[1], served=50.0)]
    kills += [replace(kill("replica", 20, [21, 22]), served=12.0), kill("learner rank", 30, [29, 30])]
    kills += [replace(kill(kind, 14, [11, 12], 70.0), starting=True) for kind in ("engine", "hub")]
    report = Report("soak", "azr bench soak")
    tell(report, Outcome(kills, steps, memory, [], [], [], 0))
    result = report.result()
    measured = {measure.name: measure.rounds for measure in result.measures}
    assert measured["engine killed: two steps later"] == (9.0, 8.0)
    assert measured["engine killed: all serve again"] == (14.0, 50.0)
    assert measured["replica killed: all serve again"] == (12.0,)
    assert measured["engine killed: there again"] == (2.0, 2.0, 2.0)
    assert measured["anybody killed while a driver starts: two steps later"] == (70.0, 70.0)
    assert "hub killed: two steps later" not in measured
    assert measured["steps done again by the next driver"] == (4,)
    assert measured["steps done again by the next learner"] == (2,)
    met = {goal.name: goal.met for goal in result.goals}
    assert met == {
        "engines all serve again, no standby, longest": False,
        "step, growth": True,
        "memory, driver, growth": True,
    }


def test_a_standby_leaves_less_than_half_the_time() -> None:
    kills = [replace(kill("engine", 3, [4, 5]), served=21.0)]
    report = Report("soak", "azr bench soak")
    tell(report, Outcome(kills, [step(n) for n in range(1, 41)], Memory(), [], [], [], 0), standby=True)
    [goal] = [goal for goal in report.result().goals if goal.name.startswith("engines")]
    assert (goal.name, goal.wanted, goal.met) == (
        "engines all serve again, a standby, longest",
        "<= 20 s",
        False,
    )


def test_a_kill_that_nothing_followed_has_no_recovery() -> None:
    report = Report("soak", "azr bench soak")
    tell(report, Outcome([kill("hub", 3, [], None)], [step(n) for n in range(1, 41)], Memory(), [], [], [], 0))
    assert "hub killed: two steps later" not in {measure.name for measure in report.result().measures}
    assert [goal.value for goal in report.result().goals] == [pytest.approx(0.0)]
