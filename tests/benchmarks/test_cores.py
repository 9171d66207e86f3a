"""Sides of a run: told apart, counted and bound from outside. Sums by hand; binding on real processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from benchmarks.cores import Cores, Look, Spent, Tally, read_looks, side_of, spent, watched

#: A driver that starts a learner's rank by its name, which spins, and prints the rank's number.
DRIVER = """
import subprocess, sys, time
words = ["ray::RayTrainWorker", "-c", "while True: sum(range(10**5))"]
rank = subprocess.Popen(words, executable=sys.executable)
print(rank.pid, flush=True)
sys.stdin.read()
rank.kill()
rank.wait()
"""


def test_the_learners_rank_is_known_by_rays_name_for_it() -> None:
    assert side_of(["ray::RayTrainWorker.poll_status()"]) == "learning"
    assert side_of(["ray::ServeReplica:azr:Rollout"]) == side_of([]) == "playing"
    assert side_of(["python", "-c", "kill RayTrainWorker"]) == "playing"


def test_both_sides_may_have_the_same_two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {5, 3, 9, 7})
    assert Cores.shared() == Cores(frozenset({3, 5}), frozenset({3, 5}))
    assert Cores.one_each() == Cores(frozenset({3}), frozenset({5}))


class TestTally:
    def test_what_a_process_took_since_the_last_look_goes_to_its_side(self) -> None:
        tally = Tally()
        tally.add((1, 0.0), "playing", 2.0)
        tally.add((2, 0.0), "learning", 1.0)
        tally.add((1, 0.0), "playing", 5.0)
        assert tally.look(9.0) == Look(9.0, 5.0, 1.0)

    def test_a_process_that_becomes_the_learner_counts_as_that_from_then_on(self) -> None:
        tally = Tally()
        tally.add((1, 0.0), "playing", 4.0)
        tally.add((1, 0.0), "learning", 6.0)
        assert tally.look(0.0) == Look(0.0, 4.0, 2.0)

    def test_a_number_that_is_used_again_is_another_process(self) -> None:
        tally = Tally()
        tally.add((1, 0.0), "playing", 4.0)
        tally.add((1, 50.0), "playing", 1.0)
        assert tally.look(0.0) == Look(0.0, 5.0, 0.0)


class TestSpent:
    LOOKS = (Look(10.0, 1.0, 0.0), Look(12.0, 3.0, 1.0), Look(14.0, 4.0, 3.0))

    def test_moments_between_looks_are_looked_up_between_them(self) -> None:
        """At 11 the sides had taken 2 and ½; at 14, 4 and 3."""
        assert spent(list(self.LOOKS), 11.0, 14.0) == Spent(3.0, 2.0, 2.5)

    def test_cores_at_work_are_both_sides_over_the_clock(self) -> None:
        assert Spent(3.0, 2.0, 2.5).busy == pytest.approx(1.5)

    def test_outside_what_was_looked_at_nothing_is_known(self) -> None:
        assert spent(list(self.LOOKS), 9.0, 14.0) is None
        assert spent(list(self.LOOKS), 10.0, 15.0) is None
        assert spent([], 0.0, 1.0) is None


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="a core for each side takes two")
def test_a_bound_run_has_its_learner_on_one_core_and_everybody_else_on_the_other(tmp_path: Path) -> None:
    cores, path = Cores.one_each(), tmp_path / "eta4-0.cores.jsonl"
    driver = subprocess.Popen([sys.executable, "-c", DRIVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with driver, watched(driver.pid, path, cores, every=0.1):
        assert driver.stdout is not None
        rank = psutil.Process(int(driver.stdout.readline()))
        deadline = time.monotonic() + 30.0
        while set(rank.cpu_affinity()) != cores.learning:
            assert time.monotonic() < deadline, "the rank was not moved to its core"
            time.sleep(0.05)
        assert os.sched_getaffinity(driver.pid) == cores.playing
        while not (looks := read_looks(path)) or looks[-1].learning < 0.2:
            assert time.monotonic() < deadline, "the rank's time was not counted"
            time.sleep(0.1)
        driver.communicate(timeout=30.0)
    assert read_looks(tmp_path / "nobody-looked") == []


def test_a_run_that_is_not_bound_keeps_its_cores(tmp_path: Path) -> None:
    driver = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with driver, watched(driver.pid, tmp_path / "cores.jsonl", every=0.1):
        assert os.sched_getaffinity(driver.pid) == os.sched_getaffinity(0)
        driver.communicate(b"\n", timeout=30.0)
