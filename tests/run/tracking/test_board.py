"""A resumed run tells real MLflow what the killed driver had written to the run's folder and not yet sent."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from azr.config.sections.tracking import TrackingConfig
from azr.plugins import TRACKERS
from azr.run.folder import Card, RunFolder
from azr.run.tracking import RunInfo, TrackingBoard
from azr.run.tracking.background import Background
from azr.run.tracking.json_lines import JsonLines
from azr.run.tracking.mlflow import MlflowTracker, tracking_uri
from tests.plugins import announce

LOSS = "loss/policy"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One database for all of them: to make one takes seconds."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture
def folder(runs: Path, request: pytest.FixtureRequest) -> RunFolder:
    run = RunFolder(runs / request.node.name)
    run.create(Card(name="one", started=0.0))
    return run


class Drivers:
    """One driver of a run after the other, as far as trackers know them."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.ids: list[str] = []
        self.said: list[str] = []
        self.starts = 0

    def board(self) -> TrackingBoard:
        """The next driver begins; a later one takes the run up."""
        config = TrackingConfig(system_metrics=False, timeout_seconds=100.0)
        board = TrackingBoard.of(config, self.folder, self.said.append, self.ids.append)
        self.starts += 1
        resumed = self.ids[0] if self.ids else ""
        board.start(RunInfo(name="one", folder="one", parameters={}, resumed_id=resumed, starts=self.starts))
        return board

    def killed(self, first: int, last: int) -> None:
        """A driver wrote these lines and was killed before anything of them was sent."""
        lines = JsonLines(self.folder.metrics, self.said.append)
        for step in range(first, last + 1):
            lines.metrics(step, step_values(step), round(time.time(), 3))

    def told(self) -> list[tuple[int, float]]:
        """MLflow's steps and losses, in the order of steps."""
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=tracking_uri("sqlite", self.folder.root.parent))
        history = client.get_metric_history(self.ids[0], LOSS)
        return sorted((entry.step, entry.value) for entry in history)


def step_values(step: int) -> dict[str, float]:
    return {LOSS: step / 10, "time/elapsed": float(step)}


def test_what_a_killed_driver_had_not_sent_is_sent_when_the_run_goes_on(folder: RunFolder) -> None:
    drivers = Drivers(folder)
    first = drivers.board()
    first.metrics(0, {"time/evaluation": 3.0, LOSS: 9.0})
    for step in (1, 2):
        first.metrics(step, step_values(step))
    first.finish("stopped")
    drivers.killed(3, 5)

    second = drivers.board()
    second.catch_up(4)
    for step in (5, 6):
        second.metrics(step, step_values(step))
    second.finish("finished")
    assert drivers.told() == [(0, 9.0), (1, 0.1), (2, 0.2), (3, 0.3), (4, 0.4), (5, 0.5), (6, 0.6)], "each of them once"
    assert drivers.said == []


def test_a_run_that_lacks_nothing_is_told_nothing_twice_however_often_it_is_taken_up(folder: RunFolder) -> None:
    drivers = Drivers(folder)
    for step in (1, 2, 3):
        board = drivers.board()
        board.catch_up(step - 1)
        board.metrics(step, step_values(step))
        board.finish("stopped")
    assert drivers.told() == [(1, 0.1), (2, 0.2), (3, 0.3)]


def test_an_evaluation_that_was_on_its_way_is_sent_as_well_though_its_step_is_there(folder: RunFolder) -> None:
    drivers = Drivers(folder)
    first = drivers.board()
    first.metrics(1, {"time/elapsed": 1.0})
    first.finish("stopped")
    JsonLines(folder.metrics, print).metrics(1, {"time/evaluation": 3.0, LOSS: 9.0}, time.time())
    second = drivers.board()
    second.catch_up(1)
    second.finish("finished")
    assert drivers.told() == [(1, 9.0)]


def test_a_run_whose_first_driver_was_killed_before_mlflow_stood_is_told_from_its_beginning(folder: RunFolder) -> None:
    drivers = Drivers(folder)
    drivers.killed(1, 3)
    second = drivers.board()
    second.catch_up(2)
    second.finish("finished")
    assert drivers.told() == [(1, 0.1), (2, 0.2)]


def test_a_new_run_has_nothing_to_catch_up_with(folder: RunFolder) -> None:
    drivers = Drivers(folder)
    board = drivers.board()
    board.catch_up(0)
    board.metrics(1, step_values(1))
    board.finish("finished")
    assert drivers.told() == [(1, 0.1)]
    assert drivers.said == []


def test_the_run_does_not_wait_for_it_and_hears_of_its_failure_as_of_any_other(folder: RunFolder) -> None:
    said: list[str] = []
    gate = threading.Event()

    class Deaf(MlflowTracker):
        """MLflow that is there, and fails when it is asked what it has."""

        def told(self, name: str) -> set[tuple[int, int]]:
            gate.wait(10)
            raise ConnectionError(f"no word of {name}")

    tracker = Deaf(
        tracking_uri("sqlite", folder.root.parent),
        "azr",
        artifacts=None,
        on_id=print,
        tell=print,
        system_metrics=False,
        timeout=2.0,
    )
    Drivers(folder).killed(1, 3)
    behind = Background("mlflow", lambda: tracker, said.append, capacity=10, timeout=100.0, first_pause=0.001)
    board = TrackingBoard(JsonLines(folder.metrics, said.append), [behind])
    board.start(RunInfo(name="one", folder="one", parameters={}, starts=2))
    began = time.perf_counter()
    board.catch_up(3)
    board.metrics(4, step_values(4))
    assert time.perf_counter() - began < 0.5
    gate.set()
    board.finish("finished")
    assert said == [
        "mlflow does not answer (no word of time/elapsed); the run goes on and tries again",
        "mlflow answers again",
        "mlflow: 1 reports were lost; metrics.jsonl in the run's folder holds them all",
    ]


class NeverMade:
    """A tracker that cannot be made."""

    def __init__(self, _folder: RunFolder) -> None:
        raise KeyError("MY_ACCOUNT")


def test_a_plug_in_that_cannot_be_made_is_said_and_ends_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    announce(tmp_path / "installed", "never", {TRACKERS: {"never": f"{__name__}:NeverMade"}}, monkeypatch)
    folder, said = RunFolder(tmp_path / "run"), list[str]()
    folder.create(Card(name="run", started=0.0))
    board = TrackingBoard.of(TrackingConfig(mlflow="off", plugins=["never"]), folder, said.append, print)
    board.start(RunInfo(name="run", folder="run", parameters={}))
    board.metrics(1, {LOSS: 0.5})
    board.finish("finished")
    assert said[0] == "never does not answer ('MY_ACCOUNT'); the run goes on and tries again"
    assert LOSS in folder.metrics.read_text()
