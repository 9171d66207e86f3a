"""Real MLflow on a real database: a run with parameters, metrics and files, taken up again by its id."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric

from azr.run.tracking.background import Background
from azr.run.tracking.base import RunInfo
from azr.run.tracking.mlflow import MlflowTracker, tracking_uri

RUN = RunInfo(name="one", folder="/runs/one", parameters={"run.seed": "7", "model.path": "m" * 9000})


#: Of one driver after the other.
RATES = ("1e-05", "5e-06", "1e-05", "2e-06")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One database for those who leave files out: to make one takes seconds."""
    return tmp_path_factory.mktemp("runs")


def tracker(
    tmp_path: Path, ids: list[str], uri: str = "sqlite", *, system: bool = False, said: list[str] | None = None
) -> MlflowTracker:
    return MlflowTracker(
        tracking_uri(uri, tmp_path),
        "azr",
        artifacts=tmp_path / "mlartifacts" if uri == "sqlite" else None,
        on_id=ids.append,
        tell=(said if said is not None else []).append,
        system_metrics=system,
        timeout=2.0,
    )


def samples(client: MlflowClient, run_id: str) -> list[int]:
    """Steps of the machine's samples, in their order."""
    history = client.get_metric_history(run_id, "system/cpu_utilization_percentage")
    return [entry.step for entry in sorted(history, key=lambda entry: entry.timestamp)]


def test_a_run_is_written_and_resumed_by_its_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
    first._sampler.join(30)
    sampled = samples(client, ids[0])

    second = tracker(tmp_path, ids, system=True)
    changed = {**RUN.parameters, "run.seed": "8"}
    second.start(RunInfo(name="one", folder="/runs/one", parameters=changed, resumed_id=ids[0], starts=2))
    assert client.get_run(ids[0]).info.status == "RUNNING"
    second.metrics(2, {"reward/mean/deduction/solve": 0.5}, time.time())
    while len(samples(client, ids[0])) == len(sampled):
        assert time.monotonic() < deadline + 30, "no system metric of the second within 30 s"
        time.sleep(0.1)
    second.finish("finished")
    second._sampler.join(30)
    both = samples(client, ids[0])
    assert both == sorted(set(both)), "a second driver's samples follow those of the first"

    assert len(ids) == 1, "a resumed run has no new id"
    run = client.get_run(ids[0])
    assert run.info.status == "FINISHED"
    assert run.data.params["run.seed"] == "7"
    assert {name for name in run.data.tags if name.startswith("azr.changed.")} == {"azr.changed.run.seed"}
    assert run.data.tags["azr.changed.run.seed"] == "8"
    assert len(run.data.params["model.path"]) == 500
    assert run.data.tags["azr.starts"] == "2"
    history = client.get_metric_history(ids[0], "reward/mean/deduction/solve")
    assert [(entry.step, entry.value) for entry in history] == [(1, 0.25), (2, 0.5)]
    assert [file.path for file in client.list_artifacts(ids[0])] == ["config.yaml"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.yaml", "mlartifacts", "mlflow.db"]


def test_a_key_that_is_changed_and_changed_back_is_tagged_with_what_it_is_now(runs: Path) -> None:
    """And what a driver was killed before it could log is logged by the next."""
    ids: list[str] = []
    told = [{"algorithm.optimiser.lr": "1e-05"}, *({"algorithm.optimiser.lr": rate, "run.seed": "7"} for rate in RATES)]
    for starts, parameters in enumerate(told, start=1):
        driver = tracker(runs, ids)
        resumed = ids[0] if ids else ""
        driver.start(RunInfo(name="r", folder="/r", parameters=parameters, resumed_id=resumed, starts=starts))
        driver.finish("stopped")
        data = MlflowClient(tracking_uri=tracking_uri("sqlite", runs)).get_run(ids[0]).data
        assert data.params["algorithm.optimiser.lr"] == "1e-05"
        now = data.tags.get("azr.changed.algorithm.optimiser.lr", "1e-05")
        assert now == parameters["algorithm.optimiser.lr"]
        assert "azr.changed.run.seed" not in data.tags
    assert data.params["run.seed"] == "7"


def test_a_run_that_this_mlflow_does_not_know_begins_anew_there_and_keeps_its_new_id(runs: Path) -> None:
    """`tracking.mlflow` names another place now, or the run's folder was moved away from its database."""
    from mlflow import MlflowClient

    ids: list[str] = []
    said: list[str] = []
    moved = tracker(runs, ids, said=said)
    moved.start(RunInfo(name="one", folder="/b/one", parameters={"run.seed": "7"}, resumed_id="0" * 32, starts=2))
    moved.metrics(3, {"loss/policy": 0.5}, 1.0)
    assert said == [f"mlflow knows no run {'0' * 32} at {tracking_uri('sqlite', runs)}: this one begins anew there"]
    moved.finish("finished")
    assert ids == [moved.run_id] and moved.run_id != "0" * 32
    run = MlflowClient(tracking_uri=tracking_uri("sqlite", runs)).get_run(moved.run_id)
    assert (run.data.params["run.seed"], run.data.metrics["loss/policy"]) == ("7", 0.5)
    assert (run.info.status, run.data.tags["azr.starts"]) == ("FINISHED", "2")


def test_a_run_that_somebody_deleted_begins_anew_and_its_experiment_is_restored(runs: Path) -> None:
    """MLflow keeps the name of a deleted experiment, and takes no runs for it."""
    ids: list[str] = []
    said: list[str] = []
    first = tracker(runs, ids)
    first.start(RUN)
    first.finish("stopped")
    client = MlflowClient(tracking_uri=tracking_uri("sqlite", runs))
    client.delete_run(ids[0])
    client.delete_experiment(client.get_experiment_by_name("azr").experiment_id)
    second = tracker(runs, ids, said=said)
    second.start(RunInfo(name="one", folder="/runs/one", parameters={}, resumed_id=ids[0], starts=2))
    second.metrics(3, {"loss/policy": 0.5}, 1.0)
    second.finish("finished")
    assert [line.partition(":")[0].rpartition(" ")[2] for line in said[1:]] == ["deleted"]
    assert "begins anew" in said[0]
    assert ids[1] != ids[0]
    assert client.get_run(ids[1]).data.metrics["loss/policy"] == 0.5


def test_an_outage_while_a_run_is_taken_up_makes_no_new_one(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    def fails(*_words: object, **_options: object) -> None:
        raise MlflowException("the database is locked")

    ids: list[str] = []
    monkeypatch.setattr(MlflowClient, "get_run", fails)
    monkeypatch.setattr(MlflowClient, "create_run", lambda *_words, **_options: pytest.fail("a second run"))
    with pytest.raises(MlflowException, match="locked"):
        tracker(runs, ids).start(RunInfo(name="one", folder="/runs/one", parameters={}, resumed_id="0" * 32))
    assert ids == []


@pytest.mark.parametrize("resumed", ["", "0" * 32])
def test_a_start_that_fails_at_the_parameters_goes_on_with_the_run_that_it_made(
    runs: Path, monkeypatch: pytest.MonkeyPatch, resumed: str
) -> None:
    from mlflow import MlflowClient

    outages = iter([OSError("reset"), OSError("reset")])
    log = MlflowClient.log_batch

    def fails_twice(client: MlflowClient, *words: object, **options: object) -> None:
        if (outage := next(outages, None)) is not None:
            raise outage
        log(client, *words, **options)

    monkeypatch.setattr(MlflowClient, "log_batch", fails_twice)
    ids: list[str] = []
    begun = tracker(runs, ids)
    run = RunInfo(name="one", folder=f"/runs/{resumed}", parameters={"run.seed": "7"}, resumed_id=resumed)
    for _ in range(2):
        with pytest.raises(OSError, match="reset"):
            begun.start(run)
    begun.start(run)
    client = MlflowClient(tracking_uri=tracking_uri("sqlite", runs))
    experiment = client.get_experiment_by_name("azr")
    [made] = client.search_runs([experiment.experiment_id], f"tags.`azr.folder` = '{run.folder}'")
    assert ids == [made.info.run_id] == [begun.run_id]
    assert made.data.params == {"run.seed": "7"}
    begun.finish("finished")


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
    behind = tracker(tmp_path, [], "http://127.0.0.1:9")
    background = Background("mlflow", lambda: behind, told.append, capacity=10, timeout=20.0, first_pause=0.01)
    background.start(RUN)
    began = time.perf_counter()
    for step in range(5):
        background.metrics(step, {"loss/policy": 0.0}, 0.0)
    assert time.perf_counter() - began < 0.5
    background.finish("finished")
    assert told[0].startswith("mlflow does not answer")
    assert "6 reports were lost" in told[-1]
