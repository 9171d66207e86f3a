"""A result as a picture: one panel a unit, a bar a measure, a dot a round, so that spread shows."""

from __future__ import annotations

from pathlib import Path

from azr.bench.picture import write_picture
from azr.bench.result import Measure, Result
from azr.bench.table import number

_BAR = "#4c72b0"
_DOT = "#1b2a41"
#: Above this ratio of largest to smallest a linear axis would hide the small ones.
_LOG_ABOVE = 30.0


def write_plot(result: Result, path: Path) -> None:
    """Draw the result into `path`; the suffix (.png, .svg) chooses the format."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    by_unit: dict[tuple[str, str], list[Measure]] = {}
    for measure in result.measures:
        by_unit.setdefault((measure.unit, measure.better), []).append(measure)
    heights = [0.8 + 0.4 * len(group) for group in by_unit.values()]
    figure, axes = pyplot.subplots(
        len(by_unit), 1, figsize=(9, sum(heights) + 0.6), squeeze=False, height_ratios=heights, layout="constrained"
    )
    try:
        for ((unit, better), group), axis in zip(by_unit.items(), axes[:, 0], strict=True):
            names = [measure.name for measure in group]
            axis.barh(names, [measure.median for measure in group], color=_BAR, height=0.6)
            for row, measure in enumerate(group):
                axis.plot(measure.rounds, [row] * len(measure.rounds), ".", color=_DOT, markersize=4)
                axis.annotate(
                    f" {number(measure.median)}",
                    (measure.high, row),
                    va="center",
                    ha="left",
                    fontsize=8,
                    xytext=(4, 0),
                    textcoords="offset points",
                )
            medians = [measure.median for measure in group]
            if min(medians) > 0 and max(medians) / min(medians) > _LOG_ABOVE:
                axis.set_xscale("log")
            axis.margins(x=0.12)
            axis.invert_yaxis()
            axis.set_xlabel(f"{unit} ({better} is better)")
            axis.spines[["top", "right"]].set_visible(False)
        figure.suptitle(
            f"azr bench {result.benchmark} · {result.machine.cpu} · {result.date[:10]} · {result.commit[:7]}",
            fontsize=9,
        )
        write_picture(figure, path, dpi=120)
    finally:
        pyplot.close(figure)
