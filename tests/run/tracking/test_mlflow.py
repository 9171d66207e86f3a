"""Real MLflow on a real database: a run with parameters, metrics and files, taken up again by its id."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from mlflow.entities import Metric

from azr.run.tracking.background import Background
from azr.run.tracking.base import RunInfo
from azr.run.tracking.mlflow import MlflowTracker, tracking_uri

RUN = RunInfo(name="one", folder="/runs/one", parameters={"run.seed": "7", "model.path": "m" * 9000})


def tracker(tmp_path: Path, ids: list[str], uri: str = "sqlite", *, system: bool = False) -> MlflowTracker:
    return MlflowTracker(
        tracking_uri(uri, tmp_path),
        "azr",
        artifacts=tmp_path / "mlartifacts" if uri == "sqlite" else None,
        on_id=ids.append,
        system_metrics=system,
        timeout=2.0,
    )


def test_a_run_is_written_and_resumed_by_its_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow import MlflowClient

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("azr.run.tracking.mlflow.SYSTEM_SECONDS", 0.2)
    ids: list[str] = []
    first = tracker(tmp_path, ids, system=True)
    first.start(RUN)
    first.metrics(1, {"reward/mean/deduction/solve": 0.25, "loss/policy": float("nan")}, time.time())
    (tmp_path / "config.yaml").write_text("run: {}")
    first.artifact(tmp_path / "config.yaml")
    first.artifact(tmp_path / "nowhere.html")
    client = MlflowClient(tracking_uri=tracking_uri("sqlite", tmp_path))
    deadline = time.monotonic() + 30
    while not any(name.startswith("system/") for name in client.get_run(ids[0]).data.metrics):
        assert time.monotonic() < deadline, "no system metric within 30 s"
        time.sleep(0.1)
    first.finish("stopped")
    assert client.get_run(ids[0]).info.status == "KILLED"

    second = tracker(tmp_path, ids)
    second.start(RunInfo(name="one", folder="/runs/one", parameters={"run.seed": "8"}, resumed_id=ids[0], starts=2))
    assert client.get_run(ids[0]).info.status == "RUNNING"
    second.metrics(2, {"reward/mean/deduction/solve": 0.5}, time.time())
    second.finish("finished")

    assert len(ids) == 1, "a resumed run has no new id"
    run = client.get_run(ids[0])
    assert run.info.status == "FINISHED"
    assert run.data.params["run.seed"] == "7"
    assert len(run.data.params["model.path"]) == 500
    assert run.data.tags["azr.starts"] == "2"
    history = client.get_metric_history(ids[0], "reward/mean/deduction/solve")
    assert [(entry.step, entry.value) for entry in history] == [(1, 0.25), (2, 0.5)]
    assert [file.path for file in client.list_artifacts(ids[0])] == ["config.yaml"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.yaml", "mlartifacts", "mlflow.db"]


def test_it_can_say_when_it_was_told_what(tmp_path: Path) -> None:
    known = tracker(tmp_path, [])
    known.start(RUN)
    assert known.told("time/elapsed") == set()
    for step, at in ((1, 1_764_109_440.123), (2, 1_764_109_441.999), (2, 1_764_109_450.0)):
        known.metrics(step, {"time/elapsed": 1.0, "loss/policy": 0.0}, at)
    assert known.told("time/elapsed") == {(1, 1_764_109_440_123), (2, 1_764_109_441_999), (2, 1_764_109_450_000)}
    known.finish("finished")


def test_of_a_report_in_several_requests_the_last_holds_the_mark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A driver that is killed between two requests has not told it."""
    from mlflow import MlflowClient

    monkeypatch.setattr("azr.run.tracking.mlflow.METRICS_AT_ONCE", 2)
    known = tracker(tmp_path, [])
    known.start(RUN)
    requests: list[list[str]] = []
    with monkeypatch.context() as watched:
        log = MlflowClient.log_batch

        def watch(client: MlflowClient, run_id: str, *, metrics: list[Metric], synchronous: bool) -> None:
            requests.append([entry.key for entry in metrics])
            log(client, run_id, metrics=metrics, synchronous=synchronous)

        watched.setattr(MlflowClient, "log_batch", watch)
        known.metrics(1, {"time/elapsed": 1.0, "loss/policy": 0.0, "loss/ratio": 1.0}, 1.0)
    assert requests == [["loss/policy", "loss/ratio"], ["time/elapsed"]]
    known.finish("finished")


def test_a_server_that_is_not_there_is_said_and_the_run_goes_on(tmp_path: Path) -> None:
    told: list[str] = []
    background = Background(
        tracker(tmp_path, [], "http://127.0.0.1:9"), told.append, capacity=10, timeout=20.0, first_pause=0.01
    )
    background.start(RUN)
    began = time.perf_counter()
    for step in range(5):
        background.metrics(step, {"loss/policy": 0.0}, 0.0)
    assert time.perf_counter() - began < 0.5
    background.finish("finished")
    assert told[0].startswith("mlflow does not answer")
    assert "6 reports were lost" in told[-1]
