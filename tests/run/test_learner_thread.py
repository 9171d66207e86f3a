"""The learner's thread: what it asks for reaches Ray Train, and what ends it reaches the driver."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from ray.exceptions import ActorDiedError

from azr.config.sections.cluster import ClusterConfig
from azr.errors import AzrError
from azr.run.learner_thread import LearnerFailedError, LearnerThread, Renewal
from learner.checkpoint import MARKER, LearnerState, checkpoint_folder
from tests.learner.plans import plan


def started(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    train: Any,
    cluster: ClusterConfig,
    tell: Callable[[str], None] = print,
) -> LearnerThread:
    monkeypatch.setattr("learner.ray_train.train", train)
    learner = LearnerThread(plan(tmp_path / "no model", tmp_path, steps=1), cluster, tell)
    learner.start()
    return learner


def test_what_the_cluster_section_says_of_ranks_reaches_ray_train(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[Any] = []
    cluster = ClusterConfig(learner_cpus=3.0, learner_gpus=0.5, placement="STRICT_SPREAD")
    learner = started(monkeypatch, tmp_path, lambda *arguments: asked.append(arguments), cluster)
    learner.wait(10)
    assert not learner.running
    learner.check()
    assert [arguments[1:] for arguments in asked] == [(cluster,)]


def test_what_ended_the_training_is_raised_by_its_innermost_cause(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fails(*_arguments: Any) -> None:
        raise RuntimeError("a worker failed") from ValueError("the loss is not finite")

    learner = started(monkeypatch, tmp_path, fails, ClusterConfig())
    learner.wait(10)
    with pytest.raises(LearnerFailedError, match="ValueError: the loss is not finite") as failed:
        learner.check()
    assert failed.value.mend.startswith("logs/ray in the run's folder may say more; there is no checkpoint yet")


def test_in_a_cluster_that_was_joined_ray_keeps_its_logs_itself(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fails(*_arguments: Any) -> None:
        raise ValueError("the loss is not finite")

    learner = started(monkeypatch, tmp_path, fails, ClusterConfig(address="auto"))
    learner.wait(10)
    with pytest.raises(LearnerFailedError) as failed:
        learner.check()
    assert failed.value.mend.startswith("Ray's own logs on the learner's nodes may say more")


def test_whatever_ends_the_thread_is_heard_for_else_the_run_would_count_as_finished(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A disk that fails under the question where to begin anew, say."""

    def fails(_root: Path) -> Path:
        raise OSError("stale file handle")

    monkeypatch.setattr("learner.checkpoint.newest", fails)
    learner = started(monkeypatch, tmp_path, lambda *_arguments: None, ClusterConfig())
    learner.wait(10)
    monkeypatch.undo()
    with pytest.raises(LearnerFailedError, match="OSError: stale file handle"):
        learner.check()


def test_the_end_of_a_learner_that_was_given_up_is_no_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given_up = threading.Event()

    def fails(*_arguments: Any) -> None:
        given_up.wait(10)
        raise ConnectionError("Ray is gone")

    learner = started(monkeypatch, tmp_path, fails, ClusterConfig())
    learner.abandon()
    given_up.set()
    learner.wait(10)
    learner.check()


def test_ranks_without_places_are_told_of_with_what_the_cluster_has_as_long_as_training_goes_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def room() -> str:
        raise AzrError("9 GPUs are asked for", "ask for fewer")

    over, held = threading.Event(), [False, False, True]
    monkeypatch.setattr("learner.ray_train.places_held", lambda: held.pop(0))
    learner = started(monkeypatch, tmp_path, lambda *_arguments: over.wait(10), ClusterConfig())
    with pytest.raises(AzrError, match=r"its ranks wait for places \(free: 0 GPUs\)"):
        learner.require_places(lambda: " (free: 0 GPUs)")
    with pytest.raises(AzrError, match=r"its ranks wait for places: 9 GPUs are asked for \(ask for fewer\)"):
        learner.require_places(room)
    learner.require_places(lambda: pytest.fail("they have them"))
    over.set()
    learner.wait(10)
    learner.require_places(lambda: pytest.fail("nobody waits any more"))


class TestRenewal:
    def test_a_training_that_wrote_a_checkpoint_is_begun_anew_as_often_as_it_does(self) -> None:
        renewal = Renewal(restarts=1)
        assert [renewal.again(got_further=True, controller_died=False) for _ in range(5)] == [True] * 5

    def test_one_that_did_not_has_used_up_its_restarts(self) -> None:
        assert not Renewal(restarts=3).again(got_further=False, controller_died=False)

    def test_a_dead_controller_is_one_restart_until_a_checkpoint_is_written(self) -> None:
        renewal = Renewal(restarts=2)
        dead = [renewal.again(got_further=further, controller_died=True) for further in (False, False, False)]
        assert dead == [True, True, False]
        renewal = Renewal(restarts=2)
        dead = [renewal.again(got_further=further, controller_died=True) for further in (False, True, False, False)]
        assert dead == [True] * 4


def test_a_training_whose_ranks_were_lost_too_often_goes_on_from_its_newest_checkpoint(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It writes one checkpoint each time but the last, and leaves Ray Train's own folder behind."""
    steps, told = iter((1, 2)), list[str]()

    def fails(*_arguments: Any) -> None:
        assert not (tmp_path / "ray_train").exists()
        (tmp_path / "ray_train").mkdir()
        if (step := next(steps, None)) is not None:
            folder = checkpoint_folder(tmp_path / "checkpoints", step)
            folder.mkdir(parents=True)
            (folder / MARKER).write_bytes(msgspec.json.encode(LearnerState(step, step, "model")))
        raise RuntimeError("a worker failed") from ValueError("its machine is gone")

    learner = started(monkeypatch, tmp_path, fails, ClusterConfig(), told.append)
    learner.wait(10)
    assert told == [f"the learner failed (ValueError); it begins anew from step_{step:08d}" for step in (1, 2)]
    with pytest.raises(LearnerFailedError, match="its machine is gone") as failed:
        learner.check()
    assert "azr train --resume" in failed.value.mend


def test_a_training_whose_controller_died_is_begun_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    deaths, told = iter([ActorDiedError()]), list[str]()

    def dies_once(*_arguments: Any) -> None:
        if (death := next(deaths, None)) is not None:
            raise death

    learner = started(monkeypatch, tmp_path, dies_once, ClusterConfig(), told.append)
    learner.wait(10)
    learner.check()
    assert told == ["the learner failed (its controller died); it begins anew from the start"]
