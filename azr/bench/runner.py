"""Finds benchmarks, runs one, and writes what it found.

A benchmark is a module of the package `benchmarks` that declares `SUMMARY: str`, `add_arguments(parser)` and
`run(arguments, report)`. Modules without a `SUMMARY` are helpers of others and are not listed.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import importlib.util
import re
from pathlib import Path
from typing import Protocol, cast

import msgspec

from azr import files
from azr.bench.curves import write_curves
from azr.bench.machine import checkout
from azr.bench.plot import write_plot
from azr.bench.report import Report
from azr.bench.result import Result
from azr.errors import UsageError
from azr.names import did_you_mean

#: The package that holds the benchmarks, in a checkout and in a wheel.
PACKAGE = "benchmarks"

#: An array of numbers, which indentation gives a line each: curves have thousands. No string has a bare line break.
_ARRAY = re.compile(rb"\[\n\s*[^\[\]{}\"]+?\n\s*\]")


class Benchmark(Protocol):
    """What a benchmark module declares."""

    SUMMARY: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the benchmark's own arguments."""

    def run(self, arguments: argparse.Namespace, report: Report) -> None:
        """Measure, and tell the report."""


def benchmarks() -> dict[str, str]:
    """Names of all benchmarks with their one-line summaries. Reads the sources; imports none of them."""
    package = importlib.util.find_spec(PACKAGE)
    found: dict[str, str] = {}
    for folder in (package.submodule_search_locations or []) if package else []:
        for path in sorted(Path(folder).glob("*.py")):
            if (summary := _summary(path)) is not None:
                found[path.stem.replace("_", "-")] = summary
    return found


def load_benchmark(name: str) -> Benchmark:
    """The module of a benchmark."""
    if name not in (known := benchmarks()):
        raise UsageError(
            f"no benchmark is called {name!r}; {did_you_mean(name, known)}", "azr bench list shows them all"
        )
    return cast(Benchmark, importlib.import_module(f"{PACKAGE}.{name.replace('-', '_')}"))


def results_folder() -> Path:
    """Where results go unless told otherwise: `benchmarks/results` of the checkout, or of the current folder."""
    return (checkout() or Path.cwd()) / PACKAGE / "results"


def write_result(result: Result, folder: Path) -> Path:
    """Write the JSON and its plots; a second result of the same day and commit gets a number, none is overwritten."""
    path = folder / f"{result.stem}.json"
    count = 1
    while path.exists():
        count += 1
        path = folder / f"{result.stem}-{count}.json"
    files.write_bytes(
        path, _ARRAY.sub(_on_one_line, msgspec.json.format(msgspec.json.encode(result), indent=1)) + b"\n"
    )
    if result.measures:
        write_plot(result, path.with_suffix(".png"))
    if result.curves:
        write_curves(result, path.with_name(f"{path.stem}-curves.png"))
    return path


def _on_one_line(array: re.Match[bytes]) -> bytes:
    return b"[" + b", ".join(array[0][1:-1].replace(b",", b" ").split()) + b"]"


def _summary(path: Path) -> str | None:
    for statement in ast.parse(path.read_text()).body:
        match statement:
            case (
                ast.Assign(targets=[ast.Name(id="SUMMARY")], value=ast.Constant(value=str(text)))
                | ast.AnnAssign(target=ast.Name(id="SUMMARY"), value=ast.Constant(value=str(text)))
            ):
                return text
    return None
