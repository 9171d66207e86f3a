"""A result as a table for people."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from azr.bench.result import Result


def rendered(result: Result) -> RenderableType:
    """Measures, ratios, goals, checks and surroundings, for a rich console."""
    parts: list[RenderableType] = [_measures(result)]
    if result.ratios:
        parts.append(_ratios(result))
    if result.goals:
        parts.append(_goals(result))
    parts += [_verdict(check.ok, ": ".join(filter(None, (check.name, check.detail)))) for check in result.checks]
    parts += [Text(f"  {note}") for note in result.notes]
    parts.append(Text(_surroundings(result), style="dim"))
    return Group(*parts)


def number(value: float) -> str:
    """Three or four significant digits, thousands separated, never an exponent for what people read."""
    if value == 0 or not 1e-4 <= abs(value) < 1e12:
        return f"{value:.3g}"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    digits = 2 if abs(value) >= 10 else 3 if abs(value) >= 1 else 4
    return f"{value:.{digits}f}".rstrip("0").rstrip(".")


def _measures(result: Result) -> Table:
    table = Table(title=result.benchmark, title_justify="left", title_style="bold")
    table.add_column("measure")
    for column in ("median", "low", "high", "rounds"):
        table.add_column(column, justify="right")
    table.add_column("unit")
    for measure in result.measures:
        numbers = [number(value) for value in (measure.median, measure.low, measure.high)]
        table.add_row(Text(measure.name), *numbers, str(len(measure.rounds)), measure.unit)
    return table


def _ratios(result: Result) -> Table:
    table = Table(title="ratios, round by round", title_justify="left", title_style="bold")
    table.add_column("ratio")
    for column in ("median", "low", "high"):
        table.add_column(column, justify="right")
    for ratio in result.ratios:
        table.add_row(Text(ratio.name), *(f"{number(value)}x" for value in (ratio.median, ratio.low, ratio.high)))
    return table


def _goals(result: Result) -> Table:
    table = Table(title="goals", title_justify="left", title_style="bold")
    table.add_column("")
    table.add_column("goal")
    table.add_column("wanted")
    table.add_column("measured", justify="right")
    for goal in result.goals:
        table.add_row(_verdict(goal.met), Text(goal.name), goal.wanted, number(goal.value))
    return table


def _verdict(good: bool, text: str = "") -> Text:
    mark = Text("✓" if good else "✗", style="green" if good else "bold red")
    return mark.append(f" {text}", style="default") if text else mark


def _surroundings(result: Result) -> str:
    machine = result.machine
    memory = f"{machine.memory_bytes / 2**30:.0f} GiB"
    commit = f"commit {result.commit[:7]}{' with changes' if result.dirty else ''}" if result.commit else "no commit"
    load = f"load {result.load_before:.1f} before, {result.load_after:.1f} after"
    hardware = (machine.cpu, f"{machine.cores} cores", memory, machine.kernel, *machine.accelerators)
    return " · ".join(hardware) + "\n" + " · ".join((load, commit, result.date, f"{result.seconds:.0f} s"))
