"""The learner's thread: what it asks for reaches Ray Train, and what ends it reaches the driver."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from azr.config.sections.cluster import ClusterConfig
from azr.run.learner_thread import LearnerFailedError, LearnerThread
from tests.learner.plans import plan


def started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, train: Any, cluster: ClusterConfig) -> LearnerThread:
    monkeypatch.setattr("learner.ray_train.train", train)
    learner = LearnerThread(plan(tmp_path / "no model", tmp_path, steps=1), cluster)
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
    with pytest.raises(LearnerFailedError, match="ValueError: the loss is not finite"):
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
