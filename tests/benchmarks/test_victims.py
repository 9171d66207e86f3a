"""Whom benchmarks kill: every kind in turn, at moments that a seed decides."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from benchmarks.victims import TITLES, drawn, kind_of, moments


@pytest.mark.parametrize(
    ("title", "kind"),
    [
        ("ray::ServeReplica:azr-run-shared:engine", "replica"),
        ("VLLM::EngineCore", "engine"),
        ("ray::Proposer", "proposer"),
        ("ray::Solver.statistics", "solver"),
        (
            "python -I -c import sys; sys.path[:] = sys.argv[3:]; from sandbox_wasm.worker import main; main()",
            "sandbox worker",
        ),
        ("ray::RayTrainWorker", "learner rank"),
        ("python -m azr.run.reaper 17 /tmp/x", "reaper"),
        ("ray::IDLE", ""),
        ("bash", ""),
    ],
)
def test_kinds_are_known_by_what_processes_call_themselves(title: str, kind: str) -> None:
    assert kind_of(title) == kind


def test_no_kind_is_taken_for_another() -> None:
    for kind, word in TITLES.items():
        assert kind_of(word) == kind


def test_every_kind_is_drawn_equally_often_as_far_as_it_goes() -> None:
    kinds = ["a", "b", "c"]
    assert Counter(drawn(kinds, 6, random.Random(1))) == {"a": 2, "b": 2, "c": 2}
    assert sorted(Counter(drawn(kinds, 8, random.Random(1))).values()) == [2, 3, 3]
    assert len(set(drawn(kinds, 2, random.Random(1)))) == 2, "no kind twice while another was not killed at all"


def test_the_order_is_the_seeds() -> None:
    kinds = list(TITLES)
    assert drawn(kinds, 30, random.Random(7)) == drawn(kinds, 30, random.Random(7))
    assert drawn(kinds, 30, random.Random(7)) != drawn(kinds, 30, random.Random(8))


def test_there_is_one_moment_in_the_middle_half_of_each_stretch() -> None:
    at = moments(95.0, 30.0, random.Random(3))
    assert len(at) == 3, "the last stretch is not whole"
    for number, moment in enumerate(at):
        assert 30 * number + 7.5 <= moment <= 30 * number + 22.5
    assert moments(20.0, 30.0, random.Random(3)) == []
