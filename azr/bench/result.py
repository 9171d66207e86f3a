"""What a benchmark leaves behind: one JSON file that says what was measured, on what, and how sure it is.

Everything a reader needs to judge a number, or to run it again, stands in the file: the command, the commit, the
machine and how loaded it was, the versions, every round, and the goals with whether they were met.
"""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any, Literal

import msgspec

from azr.decoding import UNDECODABLE
from azr.errors import AzrError

#: Version of the file format. A reader refuses one it does not know.
SCHEMA_VERSION = 1

Better = Literal["higher", "lower"]


class Machine(msgspec.Struct, frozen=True):
    """The machine a result was measured on."""

    cpu: str
    cores: int
    """Cores this process may use, which a container can make fewer than the machine has."""
    memory_bytes: int
    kernel: str
    accelerators: tuple[str, ...] = ()


class Measure(msgspec.Struct, frozen=True):
    """One quantity, measured in several rounds."""

    name: str
    unit: str
    rounds: tuple[float, ...]
    median: float
    low: float
    high: float
    better: Better = "higher"

    @classmethod
    def of(cls, name: str, unit: str, rounds: list[float], better: Better) -> Measure:
        """The measure with its median and extremes worked out."""
        if not rounds:
            raise ValueError(f"{name} has no rounds; a measure needs at least one")
        return cls(name, unit, tuple(rounds), statistics.median(rounds), min(rounds), max(rounds), better)


class Ratio(msgspec.Struct, frozen=True):
    """How one measure stands to another: the median of the ratios within each round.

    Contenders take turns within a round, so that a neighbour who loads the machine slows both sides of a ratio; the
    ratio of two medians would not have that.
    """

    name: str
    numerator: str
    denominator: str
    rounds: tuple[float, ...]
    median: float
    low: float
    high: float


class Goal(msgspec.Struct, frozen=True):
    """A number that was promised, the number that came out, and whether it will do."""

    name: str
    wanted: str
    """As in `>= 1500 1/s`."""
    value: float
    met: bool


class Check(msgspec.Struct, frozen=True):
    """A fact that must hold for the numbers to mean anything, e.g. that all contenders gave the same outputs."""

    name: str
    ok: bool
    detail: str = ""


class Curve(msgspec.Struct, frozen=True):
    """How quantities of one run went, thinned to what a plot can show (`azr.bench.curves`)."""

    arm: str
    """What was run; runs of one arm are drawn together."""
    run: str
    """Which run of the arm it was, as in `seed 3`."""
    x: tuple[float, ...]
    """Learner steps, the middle of what each point stands for."""
    values: dict[str, tuple[float | None, ...]]
    """By quantity; null where nothing was told of it."""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One run of one benchmark."""

    schema: int = SCHEMA_VERSION
    benchmark: str
    command: str
    """What to type to measure it again."""
    commit: str
    """That it was measured at: of when it began, like all here that is not said to be of the end."""
    dirty: bool
    """Whether the checkout held changes that the commit does not."""
    date: str
    """When it began, ISO 8601, UTC."""
    seconds: float
    machine: Machine
    load_before: float
    """Runnable processes, averaged over a minute, when it began."""
    load_after: float
    versions: dict[str, str]
    settings: dict[str, str | int | float | bool]
    measures: tuple[Measure, ...]
    ratios: tuple[Ratio, ...] = ()
    goals: tuple[Goal, ...] = ()
    checks: tuple[Check, ...] = ()
    notes: tuple[str, ...] = ()
    runs: tuple[dict[str, Any], ...] = ()
    """What single runs were and left, where a benchmark is made of long ones that cannot be had again in minutes."""
    curves: tuple[Curve, ...] = ()

    @property
    def sound(self) -> bool:
        """Whether all checks held; a result that is not sound is written down but exits with an error."""
        return all(check.ok for check in self.checks)

    @property
    def stem(self) -> str:
        """Name of its files without the suffix: benchmark, day, commit."""
        dirty = "-dirty" if self.dirty else ""
        return f"{self.benchmark}-{self.date[:10]}-{self.commit[:7] or 'nocommit'}{dirty}"


def read_result(path: Path) -> Result:
    """A result from its file."""
    try:
        result = msgspec.json.decode(path.read_bytes(), type=Result)
    except (OSError, *UNDECODABLE) as error:
        raise AzrError(f"{path} is not a benchmark result: {error}", "give a file that azr bench wrote") from error
    if result.schema != SCHEMA_VERSION:
        raise AzrError(
            f"{path} has schema {result.schema}; this azr reads {SCHEMA_VERSION}", "read it with the azr of its commit"
        )
    return result
