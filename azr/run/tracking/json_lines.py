"""The tracker that is always on: one JSON line a learner step in the run's folder.

Written in the run's own thread, because it must not lose anything that the disk would take. A full disk is said once
and does not end the run; lines are missing until there is room again.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from azr.decoding import UNDECODABLE
from azr.files import append_lines
from azr.metrics.told import STEP_MARK
from azr.run.tracking.base import RunInfo


class JsonLines:
    """Appends to `metrics.jsonl`."""

    name = "metrics.jsonl"

    def __init__(self, path: Path, tell: Callable[[str], None]) -> None:
        self.path, self._tell = path, tell
        self._failing = False
        self.lost = 0

    @property
    def size(self) -> int:
        """Bytes of the file; 0 when there is none."""
        return self.path.stat().st_size if self.path.exists() else 0

    def start(self, run: RunInfo) -> None:
        """Nothing to do: the folder is there."""

    def metrics(self, step: int, values: Mapping[str, float], at: float) -> None:
        """Append a line; numbers that are not finite become null, as JSON has no others."""
        numbers = {name: value if math.isfinite(value) else None for name, value in values.items()}
        self._append(msgspec.json.encode({"step": step, "at": round(at, 3), **numbers}) + b"\n")

    def artifact(self, path: Path) -> None:
        """Nothing to do: it lies in the folder already."""

    def finish(self, status: str) -> None:
        """Nothing to do."""

    def _append(self, line: bytes) -> None:
        try:
            append_lines(self.path, line)
        except OSError as error:
            self.lost += 1
            if not self._failing:
                self._failing = True
                self._tell(f"{self.path} cannot be written ({error.strerror}); the run goes on without")
            return
        if self._failing:
            self._failing = False
            self._tell(f"{self.path} is written again; {self.lost} lines are missing")


class _Elapsed(msgspec.Struct):
    """As much of a line as says how long training had lasted."""

    seconds: float | None = msgspec.field(default=None, name=STEP_MARK)


def longest_told(path: Path) -> float:
    """Seconds of training by then, of the step that tells most. All lines of a long run may not fit into memory."""
    longest, decoder = 0.0, msgspec.json.Decoder(_Elapsed)
    if not path.exists():
        return longest
    with path.open("rb") as lines:
        for line in lines:
            with contextlib.suppress(*UNDECODABLE):
                longest = max(longest, decoder.decode(line).seconds or 0.0)
    return longest


def read_lines(path: Path) -> list[dict[str, float | None]]:
    """All steps in order, the lines of each put together: of what is told twice, the last counts."""
    by_step: dict[int, dict[str, float | None]] = {}
    if not path.exists():
        return []
    for line in path.read_bytes().splitlines():
        try:
            values = msgspec.json.decode(line, type=dict[str, float | None])
        except UNDECODABLE:
            continue
        by_step.setdefault(int(values.get("step") or 0), {}).update(values)
    return [by_step[step] for step in sorted(by_step)]
