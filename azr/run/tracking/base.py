"""What a tracker is. A new one is a class with these methods and a line in `azr.run.tracking.board`.

A tracker may be slow and may raise, as it is made and ever after: `Background` makes and calls it in a thread of its
own, tries again, and says what was lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import msgspec


class RunInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a tracker is told of the run when it starts."""

    name: str
    folder: str
    parameters: dict[str, str]
    """The configuration, flattened: dotted keys to values."""
    resumed_id: str = ""
    """The tracker's own id of the run when it is a resumed one."""
    starts: int = 1
    """How often the run was begun or resumed."""


class Tracker(Protocol):
    """Somebody who is told about a run."""

    name: str

    def start(self, run: RunInfo) -> None:
        """Begin, or take up the run of `resumed_id`. May be called again after it raised."""
        ...

    def metrics(self, step: int, values: Mapping[str, float], at: float) -> None:
        """Numbers of a learner step; `at` in seconds since 1970."""
        ...

    def artifact(self, path: Path) -> None:
        """A file worth keeping with the run."""
        ...

    def finish(self, status: str) -> None:
        """The run ended: `finished`, `stopped` or `failed`."""
        ...


@runtime_checkable
class Remembers(Tracker, Protocol):
    """A tracker that can say what it has; after a resume it is told what it lacks."""

    def told(self, name: str) -> set[tuple[int, int]]:
        """Each time that it was told this metric: the step, and when, in `milliseconds`."""
        ...


@runtime_checkable
class EndsFirst(Tracker, Protocol):
    """A tracker that shows whether a run goes on, and takes numbers and files of one that ended as well. Its `finish`
    is called before all that waits, for which there may be no time, and once more behind it."""

    ends_first: Literal[True]


def milliseconds(at: float) -> int:
    """A moment as trackers and `metrics.jsonl` both keep it, who must agree on it."""
    return round(at * 1000)


def flattened(values: Mapping[str, object], prefix: str = "") -> dict[str, str]:
    """Nested keys as dotted ones, values as text."""
    flat: dict[str, str] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            flat |= flattened(value, f"{name}.")
        else:
            flat[name] = str(value)
    return flat
