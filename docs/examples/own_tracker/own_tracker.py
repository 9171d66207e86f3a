"""A tracker of one's own: a table of a few numbers as CSV in the run's folder.

Install this folder (`pip install --no-deps --no-build-isolation docs/examples/own_tracker`) where the driver runs and
switch it on:

    azr train --config tiny tracking.plugins=[csv]

A tracker may be slow and may raise: it is called in a thread of its own, asked again, and what was lost is said. It
is made with the run's folder.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from azr.run.folder import RunFolder
from azr.run.tracking import RunInfo

#: The columns, of all the numbers that a step reports.
COLUMNS = ("learner/lr", "learner/grad_norm", "loss/entropy")


class CsvTracker:
    """Appends a row a step."""

    name = "csv"

    def __init__(self, folder: RunFolder) -> None:
        self._path = folder.root / "table.csv"

    def start(self, run: RunInfo) -> None:
        """Write the header of a new run; a resumed one has it."""
        if run.starts == 1 or not self._path.exists():
            self._append(("step", *COLUMNS))

    def metrics(self, step: int, values: Mapping[str, float], at: float) -> None:  # noqa: ARG002
        """A row."""
        self._append((step, *(values.get(column, "") for column in COLUMNS)))

    def artifact(self, path: Path) -> None:
        """It lies in the folder already."""

    def finish(self, status: str) -> None:
        """Nothing to close."""

    def _append(self, row: tuple[object, ...]) -> None:
        with self._path.open("a", newline="") as file:
            csv.writer(file).writerow(row)
