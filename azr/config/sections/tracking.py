"""Configuration of tracking: where metrics, parameters and artifacts of a run go besides its own folder."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class TrackingConfig:
    """Who is told. JSON lines in the run's folder are always written."""

    mlflow: str = "sqlite"
    """`sqlite`: a database `mlflow.db` beside the folders of runs; a URI (`http://host:5000`): that server;
    `databricks`; `off`."""
    experiment: str = "azr"
    """MLflow experiment under which runs appear."""
    system_metrics: bool = True
    """Let MLflow sample processor, memory and network of the driver's machine."""
    tensorboard: bool = False
    """Write event files into the run's folder as well."""
    plugins: list[str] = field(default_factory=list)
    """Trackers of other packages, by their names under the entry-point group `azr.trackers`."""
    queue: int = 1024
    """Reports that wait for a slow tracker; beyond it the oldest are dropped and counted, the run never waits."""
    timeout_seconds: float = 15.0
    """How long a tracker may take over one request, and over its last ones when the run ends."""
