"""TensorBoard as a tracker: event files in the run's folder. Optional; its package comes with Ray Train.

Written at once and not through the package's `SummaryWriter`: its thread dies of a full disk without a word, and who
adds to its queue then waits for ever. Here the error reaches `Background`, which says so and tries again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from azr.metrics.told import STEP_MARK
from azr.run.tracking.base import RunInfo


class TensorboardTracker:
    """Writes event files: one for each driver, and another after a failure, which may have left a torn record."""

    name = "tensorboard"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer: Any = None
        self._opened = 0
        self._first = True
        """Whether no step was told yet: from the first on, what a driver before this one told holds no more."""

    def start(self, run: RunInfo) -> None:
        """Write the configuration as a text."""
        from tensorboardX import summary

        table = "".join(f"| {name} | {value} |\n" for name, value in run.parameters.items())
        text = summary.text("configuration", f"| key | value |\n|---|---|\n{table}")
        self._write({"summary": text, "wall_time": time.time()})

    def metrics(self, step: int, values: Mapping[str, float], at: float) -> None:
        """A scalar each, in one event."""
        from tensorboardX.proto.event_pb2 import SessionLog
        from tensorboardX.proto.summary_pb2 import Summary

        if self._first and STEP_MARK in values:
            self._write({"session_log": SessionLog(status=SessionLog.START), "step": step, "wall_time": at})
            self._first = False
        told = Summary(value=[Summary.Value(tag=name, simple_value=value) for name, value in values.items()])
        self._write({"summary": told, "step": step, "wall_time": at})

    def artifact(self, path: Path) -> None:
        """TensorBoard keeps no files."""

    def finish(self, status: str) -> None:  # noqa: ARG002 - the protocol's
        """Close the event file."""
        if self._writer is not None:
            self._writer.close()

    def _write(self, fields: dict[str, Any]) -> None:
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import Event

        if self._writer is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._opened += 1
            self._writer = EventsWriter(str(self._folder / "events"), f".{os.getpid()}.{self._opened}")
        try:
            self._writer.write_event(Event(**fields))
            self._writer.flush()
        except OSError:
            self._writer = None
            raise
