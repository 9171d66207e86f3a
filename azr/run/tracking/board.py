"""All trackers of a run behind one object: JSON lines at once, the others in threads of their own.

Called by the driver, once a learner step.

    driver ──► TrackingBoard ─┬─► JsonLines ── after a resume: what earlier drivers told ──┐
                              ├─► Background(MlflowTracker) ◄── what it lacks of it ───────┘
                              └─► Background(TensorboardTracker)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from azr.config.sections.tracking import TrackingConfig
from azr.plugins import TRACKERS, load_plugin
from azr.run.folder import RunFolder
from azr.run.tracking.background import Background
from azr.run.tracking.base import RunInfo, Tracker
from azr.run.tracking.earlier import told_until
from azr.run.tracking.json_lines import JsonLines
from azr.run.tracking.mlflow import MlflowTracker, tracking_uri
from azr.run.tracking.tensorboard import TensorboardTracker


class TrackingBoard:
    """Tells everybody."""

    def __init__(self, lines: JsonLines, behind: list[Background]) -> None:
        self._lines, self._behind = lines, behind
        self._trackers: list[Tracker] = [lines, *behind]

    @classmethod
    def of(
        cls, config: TrackingConfig, folder: RunFolder, tell: Callable[[str], None], on_id: Callable[[str], None]
    ) -> TrackingBoard:
        """The trackers of a configuration; `on_id` hears MLflow's id of the run, from another thread."""
        slow: list[tuple[str, Callable[[], Tracker]]] = []
        if config.mlflow != "off":
            runs = folder.root.parent
            make_mlflow = partial(
                MlflowTracker,
                tracking_uri(config.mlflow, runs),
                config.experiment,
                artifacts=runs / "mlartifacts" if config.mlflow == "sqlite" else None,
                on_id=on_id,
                tell=tell,
                system_metrics=config.system_metrics,
                timeout=config.timeout_seconds,
            )
            slow.append((MlflowTracker.name, make_mlflow))
        if config.tensorboard:
            slow.append((TensorboardTracker.name, partial(TensorboardTracker, folder.root / "tensorboard")))
        slow += [(name, partial(load_plugin(TRACKERS, name, "tracking.plugins"), folder)) for name in config.plugins]
        behind = [
            Background(name, make, tell, capacity=config.queue, timeout=config.timeout_seconds) for name, make in slow
        ]
        return cls(JsonLines(folder.metrics, tell), behind)

    def start(self, run: RunInfo) -> None:
        """The run begins."""
        for tracker in self._trackers:
            tracker.start(run)

    def catch_up(self, step: int) -> None:
        """The run goes on from this step: what earlier drivers told up to it may not have reached everybody.

        It is read and told in the trackers' own threads. What this driver tells from now on is no part of it.
        """
        if size := self._lines.size:
            for tracker in self._behind:
                tracker.catch_up(lambda newest: told_until(self._lines.path, size, step, newest))

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """A step is done."""
        at = round(time.time(), 3)
        for tracker in self._trackers:
            tracker.metrics(step, values, at)

    def artifact(self, path: Path) -> None:
        """A file is worth keeping."""
        for tracker in self._trackers:
            tracker.artifact(path)

    def over(self, status: str) -> None:
        """The run ends so, as far as is known: nobody is waited for, and there may be no time for more."""
        for tracker in self._behind:
            tracker.over(status)

    def finish(self, status: str) -> None:
        """The run is over."""
        for tracker in self._trackers:
            tracker.finish(status)
