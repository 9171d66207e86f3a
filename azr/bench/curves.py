"""Curves of runs: thinned until a result file can hold them, and drawn, arms side by side.

    values of each step ── thinned: means of equal stretches ──► Curve in the result ── write_curves ──► …-curves.png

The committed file alone is enough to draw them again: `write_curves(read_result(path), picture)`.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from azr.bench.picture import write_picture
from azr.bench.result import Curve, Result

#: Points of a curve at most. A panel is a few hundred pixels wide; forty runs of six quantities stay below 200 kB.
MOST_POINTS = 60
#: Digits that are kept of a point: beyond them is noise.
DIGITS = 4

#: Points on both sides that the thick line of a plot is the mean of.
REACH = 5

_COLOURS = ("#4c72b0", "#c44e52", "#55a868", "#8172b2", "#ccb974", "#da8bc3", "#64b5cd", "#8c8c8c", "#937860")


def thinned(values: Sequence[float | None], most: int = MOST_POINTS) -> tuple[float | None, ...]:
    """Means of consecutive stretches, as equal in length as can be; a stretch of which nothing is known has none."""
    found: list[float | None] = []
    for start, end in stretches(len(values), most):
        known = [value for value in values[start:end] if value is not None and math.isfinite(value)]
        found.append(rounded(statistics.fmean(known)) if known else None)
    return tuple(found)


def stretches(count: int, most: int = MOST_POINTS) -> list[tuple[int, int]]:
    """Begin and end of each of at most `most` stretches of so many values."""
    points = min(count, most)
    return [(point * count // points, (point + 1) * count // points) for point in range(points)]


def curve_of(
    arm: str, run: str, steps: Sequence[float], values: Mapping[str, Sequence[float | None]], most: int = MOST_POINTS
) -> Curve:
    """The curve of a run, from what it told at each of its steps."""
    for name, told in values.items():
        if len(told) != len(steps):
            raise ValueError(f"{name} has {len(told)} values for {len(steps)} steps")
    x = tuple(value for value in thinned(steps, most) if value is not None)
    return Curve(arm, run, x, {name: thinned(told, most) for name, told in values.items()})


def smoothed(values: Sequence[float | None], reach: int = REACH) -> tuple[float | None, ...]:
    """Each point's mean with its neighbours on both sides, fewer at the ends."""
    return tuple(
        statistics.fmean(known) if (known := [value for value in near if value is not None]) else None
        for near in (values[max(0, place - reach) : place + reach + 1] for place in range(len(values)))
    )


def rounded(value: float) -> float:
    """With as many digits as mean anything."""
    return float(f"{value:.{DIGITS}g}")


def write_curves(result: Result, path: Path) -> None:
    """Draw all curves into `path`: a column an arm, a row a quantity, a thin line a run and a thick one its trend."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    arms = list(dict.fromkeys(curve.arm for curve in result.curves))
    names = list(dict.fromkeys(name for curve in result.curves for name in curve.values))
    figure, axes = pyplot.subplots(
        len(names),
        len(arms),
        figsize=(1.2 + 2.3 * len(arms), 0.8 + 1.7 * len(names)),
        squeeze=False,
        sharex="col",
        sharey="row",
        layout="constrained",
    )
    try:
        for column, arm in enumerate(arms):
            axes[0, column].set_title(arm, fontsize=9)
            axes[-1, column].set_xlabel("learner step", fontsize=8)
            for curve in (curve for curve in result.curves if curve.arm == arm):
                for row, name in enumerate(names):
                    told = curve.values.get(name, ())
                    colour = _COLOURS[column % len(_COLOURS)]
                    for heights, width, alpha in ((told, 0.8, 0.35), (smoothed(told), 1.4, 1.0)):
                        line = [math.nan if value is None else value for value in heights]
                        axes[row, column].plot(curve.x[: len(line)], line, color=colour, linewidth=width, alpha=alpha)
        for row, name in enumerate(names):
            axes[row, 0].set_ylabel(name, fontsize=8)
        for axis in axes.flat:
            axis.grid(alpha=0.25)
            axis.tick_params(labelsize=7)
            axis.spines[["top", "right"]].set_visible(False)
        figure.suptitle(
            f"azr bench {result.benchmark} · {result.machine.cpu} · {result.date[:10]} · a line a run", fontsize=9
        )
        write_picture(figure, path, dpi=110)
    finally:
        pyplot.close(figure)
