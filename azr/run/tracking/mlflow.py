"""MLflow as a tracker: a database beside the runs by default, any server by its URI.

Called through `Background`, because every call may take long: the first use of a new database migrates it for seconds,
and a server may be down. Uses MLflow's client alone, never its global "active run", so that two runs in one process
or a fork cannot mix. Sampling of the machine is done here, with MLflow's own monitors and names: its sampling thread
ends for good at the first request that fails.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from azr.metrics.told import MARKS
from azr.run.tracking.base import RunInfo, milliseconds
from azr.run.tracking.database import client_of, make_database

#: Seconds between samples of the machine.
SYSTEM_SECONDS = 10.0
#: MLflow's own name for those begins so.
SYSTEM = "system/"
#: MLflow takes so many metrics, and so many parameters or tags, in one request.
METRICS_AT_ONCE, PARAMETERS_AT_ONCE = 1000, 100
#: Longest value of a parameter that every MLflow store takes.
VALUE_LENGTH = 500
#: A parameter stays what it was when the run began. What a resume made of it is a tag of this name and its own.
CHANGED = "azr.changed."

#: How MLflow calls a run or an experiment in its trash.
_DELETED = "deleted"

_STATUS = {"finished": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}


def tracking_uri(setting: str, runs: Path) -> str:
    """MLflow's URI for `tracking.mlflow`."""
    return f"sqlite:///{runs.absolute() / 'mlflow.db'}" if setting == "sqlite" else setting


class MlflowTracker:
    """One MLflow run."""

    name = "mlflow"
    ends_first: Literal[True] = True

    def __init__(
        self,
        uri: str,
        experiment: str,
        *,
        artifacts: Path | None,
        on_id: Callable[[str], None],
        tell: Callable[[str], None],
        system_metrics: bool,
        timeout: float,
    ) -> None:
        """`artifacts` is where a database keeps files (a server has its own place); `on_id` hears the run's id as soon
        as there is one, `tell` what a person should know."""
        self._uri, self._experiment, self._artifacts = uri, experiment, artifacts
        self._on_id, self._tell, self._timeout = on_id, tell, timeout
        self._client: Any = None
        self.run_id = ""
        self._made = ""
        """The id of the run that was made here, once it is; how far a start came that raised."""
        self._sampled = 0
        """Samples of the machine that earlier drivers told."""
        self._over = threading.Event()
        self._sampler = threading.Thread(target=self._sample, name="mlflow-system", daemon=True)
        self._wants_system = system_metrics

    def start(self, run: RunInfo) -> None:
        """Connect, and take the run up by its id; begin it where it has none, or one that this MLflow does not know."""
        # Read by MLflow at each request; its own patience is minutes.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(max(1, round(self._timeout))))
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        os.environ.setdefault("MLFLOW_ENABLE_ASYNC_LOGGING", "false")
        make_database(self._uri)
        self._client = client_of(self._uri)
        if self._made or not run.resumed_id or not self._takes_up(run):
            self._begin(run)
        if self._wants_system and not self._sampler.is_alive():
            self._sampler.start()

    def metrics(self, step: int, values: Mapping[str, float], at: float) -> None:
        """Log a step's numbers in one request (a few for very many)."""
        from mlflow.entities import Metric

        stamp = milliseconds(at)
        # Marks last: of a report whose mark is there, everything is.
        entries = [Metric(name, values[name], stamp, step) for name in sorted(values, key=MARKS.__contains__)]
        for start in range(0, len(entries), METRICS_AT_ONCE):
            self._client.log_batch(self.run_id, metrics=entries[start : start + METRICS_AT_ONCE], synchronous=True)

    def told(self, name: str) -> set[tuple[int, int]]:
        """Each step and moment of this metric that MLflow has, in one request."""
        history = self._client.get_metric_history(self.run_id, name)
        return {(entry.step, entry.timestamp) for entry in history}

    def artifact(self, path: Path) -> None:
        """Upload a file, if it is there."""
        if path.exists():
            self._client.log_artifact(self.run_id, str(path))

    def finish(self, status: str) -> None:
        """End the run."""
        self._over.set()
        self._client.set_terminated(self.run_id, status=_STATUS.get(status, "FAILED"))

    def _takes_up(self, run: RunInfo) -> bool:
        """Go on with the run of that id, if it is known: it is not where `tracking.mlflow` names another place now,
        where a run's folder was moved away from the database beside it, or where somebody deleted it."""
        from mlflow.exceptions import MlflowException

        try:
            gone = self._client.get_run(run.resumed_id).info.lifecycle_stage == _DELETED
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            gone = True
        if gone:
            self._tell(f"mlflow knows no run {run.resumed_id} at {self._uri}: this one begins anew there")
            return False
        self._client.update_run(run.resumed_id, status="RUNNING")
        self._client.set_tag(run.resumed_id, "azr.starts", str(run.starts))
        data = self._client.get_run(run.resumed_id).data
        # As MLflow's own sampling does it: a metric's whole history may be long.
        steps = [metric.step for metric in data._metric_objs if metric.key.startswith(SYSTEM)]
        self._sampled = max(steps, default=-1) + 1
        self._log_parameters(run.resumed_id, run.parameters, data.params, data.tags)
        self.run_id = run.resumed_id
        return True

    def _begin(self, run: RunInfo) -> None:
        """Make the run, once, and log its parameters, which may be logged again."""
        if not self._made:
            self._made = self._make(run)
            self._on_id(self._made)
        self._log_parameters(self._made, run.parameters, {}, {})
        self.run_id = self._made

    def _log_parameters(
        self, run_id: str, parameters: Mapping[str, str], logged: Mapping[str, str], tags: Mapping[str, str]
    ) -> None:
        """Log the parameters that the run lacks (a driver may be killed before it logged them), and tag those that are
        not what they were by its parameters and tags so far."""
        from mlflow.entities import Param, RunTag

        values = {name: value[:VALUE_LENGTH] for name, value in parameters.items()}
        new = [Param(name, value) for name, value in values.items() if name not in logged]
        changed = [
            RunTag(CHANGED + name, value)
            for name, value in values.items()
            if tags.get(CHANGED + name, logged.get(name, value)) != value
        ]
        for start in range(0, len(new), PARAMETERS_AT_ONCE):
            self._client.log_batch(run_id, params=new[start : start + PARAMETERS_AT_ONCE], synchronous=True)
        for start in range(0, len(changed), PARAMETERS_AT_ONCE):
            self._client.log_batch(run_id, tags=changed[start : start + PARAMETERS_AT_ONCE], synchronous=True)

    def _make(self, run: RunInfo) -> str:
        found = self._client.get_experiment_by_name(self._experiment)
        if found and found.lifecycle_stage == _DELETED:  # its name stays taken, and it takes no runs
            self._client.restore_experiment(found.experiment_id)
            self._tell(f"mlflow's experiment {self._experiment} was deleted: it is restored")
        location = self._artifacts.absolute().as_uri() if self._artifacts else None
        experiment = found.experiment_id if found else self._client.create_experiment(self._experiment, location)
        tags = {"azr.folder": run.folder, "azr.starts": str(run.starts)}
        made: str = self._client.create_run(experiment, run_name=run.name, tags=tags).info.run_id
        return made

    def _sample(self) -> None:
        """Numbers of the machine under MLflow's own names, until the run is over; what fails is passed over."""
        from mlflow.entities import Metric
        from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
        from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor

        monitors: list[Any] = [CPUMonitor(), NetworkMonitor(), *_gpu_monitors()]
        sample = self._sampled
        while not self._over.wait(SYSTEM_SECONDS):
            stamp = int(time.time() * 1000)
            values: dict[str, float] = {}
            try:
                for monitor in monitors:
                    monitor.collect_metrics()
                    values |= monitor.aggregate_metrics()
                    monitor.clear_metrics()
                entries = [Metric(f"{SYSTEM}{name}", value, stamp, sample) for name, value in values.items()]
                sample += 1
                self._client.log_batch(self.run_id, metrics=entries, synchronous=True)
            except Exception:  # the next sample comes in seconds; outages are told by the metrics themselves
                continue


def _gpu_monitors() -> list[Any]:
    try:
        from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor

        return [GPUMonitor()]
    except Exception:  # no GPU, or none of the packages that read its counters
        return []
