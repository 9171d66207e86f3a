"""What a benchmark fills while it runs: measures, ratios, goals and checks, which together become a `Result`."""

from __future__ import annotations

import datetime
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from azr.bench import machine
from azr.bench.result import Better, Check, Curve, Goal, Measure, Ratio, Result


class Report:
    """Collects what one run of a benchmark finds. Names are unique: a measure is told once."""

    def __init__(self, benchmark: str, command: str) -> None:
        self.benchmark = benchmark
        self.command = command
        self.settings: dict[str, str | int | float | bool] = {}
        self._began = datetime.datetime.now(datetime.UTC)
        self._clock = time.monotonic()
        self._load = machine.load()
        self._commit = machine.commit()
        self._measures: dict[str, Measure] = {}
        self._ratios: list[Ratio] = []
        self._goals: list[Goal] = []
        self._checks: list[Check] = []
        self._notes: list[str] = []
        self._runs: list[dict[str, Any]] = []
        self._curves: list[Curve] = []

    def measure(self, name: str, unit: str, rounds: Sequence[float], *, better: Better = "higher") -> Measure:
        """One quantity with its value in each round."""
        if name in self._measures:
            raise ValueError(f"{name!r} was measured already; give each measure a name of its own")
        self._measures[name] = Measure.of(name, unit, list(rounds), better)
        return self._measures[name]

    def measures(self, unit: str, rounds: Mapping[str, Sequence[float]], *, better: Better = "higher") -> None:
        """One quantity for each contender, as `interleave` returns them."""
        for name, values in rounds.items():
            self.measure(name, unit, values, better=better)

    def ratio(self, name: str, numerator: str, denominator: str) -> Ratio:
        """How one measure stands to another, worked out round by round."""
        above, below = self._measures[numerator].rounds, self._measures[denominator].rounds
        if len(above) != len(below):
            raise ValueError(
                f"{numerator!r} has {len(above)} rounds and {denominator!r} {len(below)}: not side by side"
            )
        each = tuple(one / other for one, other in zip(above, below, strict=True))
        ratio = Ratio(name, numerator, denominator, each, statistics.median(each), min(each), max(each))
        self._ratios.append(ratio)
        return ratio

    def goal(
        self, name: str, value: float, *, at_least: float | None = None, at_most: float | None = None, unit: str = ""
    ) -> None:
        """Hold a number against what was promised of it."""
        bounds = [f"{sign} {bound:g}" for sign, bound in ((">=", at_least), ("<=", at_most)) if bound is not None]
        if not bounds:
            raise ValueError(f"goal {name!r} has no bound")
        met = (at_least is None or value >= at_least) and (at_most is None or value <= at_most)
        self._goals.append(Goal(name, f"{' and '.join(bounds)} {unit}".rstrip(), value, met))

    def check(self, name: str, ok: bool, detail: str = "") -> None:
        """A fact without which the numbers mean nothing."""
        self._checks.append(Check(name, ok, detail))

    def note(self, text: str) -> None:
        """A sentence a reader of the result should know."""
        self._notes.append(text)

    def run(self, record: Mapping[str, Any], curve: Curve) -> None:
        """What a long run was and left, as plain data, and how it went."""
        self._runs.append(dict(record))
        self._curves.append(curve)

    def progress(self, text: str) -> None:
        """Tell on stderr what is being measured now; one line that is written over on a terminal."""
        if sys.stderr.isatty():
            print(f"\r\x1b[K{self.benchmark}: {text}", end="", file=sys.stderr, flush=True)

    def result(self) -> Result:
        """Everything collected, with the surroundings it was measured in."""
        (head, dirty), now = self._commit, machine.commit()
        changed = f"the checkout changed meanwhile: {_told(head, dirty)} when it began, {_told(*now)} at its end"
        notes = (*self._notes, *([changed] if now != self._commit else []))
        return Result(
            benchmark=self.benchmark,
            command=self.command,
            commit=head,
            dirty=dirty,
            date=self._began.isoformat(timespec="seconds"),
            seconds=round(time.monotonic() - self._clock, 3),
            machine=machine.machine(),
            load_before=self._load,
            load_after=machine.load(),
            versions=machine.versions(),
            settings=self.settings,
            measures=tuple(self._measures.values()),
            ratios=tuple(self._ratios),
            goals=tuple(self._goals),
            checks=tuple(self._checks),
            notes=notes,
            runs=tuple(self._runs),
            curves=tuple(self._curves),
        )


def _told(commit: str, dirty: bool) -> str:
    return f"{commit[:7] or 'no commit'}{' with changes' if dirty else ''}"
