"""Line charts as SVG text: no script, no library, nothing to fetch.

Pure. Called by `azr.report.page`. A chart holds several lines over learner steps; each point is told by the browser
when the mouse rests on the line's dots.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import NamedTuple

from azr.report.points import Points

#: Colours that stay apart for colour-blind readers (Okabe and Ito), then lighter ones.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f", "#9467bd", "#8c564b", "#bcbd22")

#: What a run that diverged told is drawn no higher: sums and differences of such numbers are still numbers.
_HIGHEST = 1e300

#: Points drawn of a line: more than these no screen shows apart.
MOST_POINTS = 400

#: Of these, so many tell their value to the mouse; each is as large in the page as ten points.
MOST_DOTS = 40

_WIDTH, _HEIGHT = 460, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 10, 10, 26


class Line(NamedTuple):
    """One line of a chart."""

    label: str
    points: Points


def chart(title: str, lines: Sequence[Line], *, unit: str = "", about: str = "") -> str:
    """A figure with its caption and legend; nothing if no line has a finite point."""
    drawn = [Line(line.label, thinned(_held(line.points))) for line in lines]
    drawn = [line for line in drawn if line.points]
    if not drawn:
        return ""
    steps = [step for line in drawn for step, _ in line.points]
    values = [value for line in drawn for _, value in line.points]
    x_low, x_high = _padded(min(steps), max(steps), 0.0)
    y_ticks = ticks(*_padded(min(values), max(values), 0.05))
    y_low, y_high = y_ticks[0], y_ticks[-1]

    def x(step: float) -> float:
        return _LEFT + (step - x_low) / (x_high - x_low) * (_WIDTH - _LEFT - _RIGHT)

    def y(value: float) -> float:
        return _HEIGHT - _BOTTOM - (value - y_low) / (y_high - y_low) * (_HEIGHT - _TOP - _BOTTOM)

    parts = [f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">']
    for tick in y_ticks:
        parts.append(f'<path class="grid" d="M{_LEFT} {y(tick):.1f}H{_WIDTH - _RIGHT}"/>')
        parts.append(f'<text class="tick" x="{_LEFT - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{short(tick)}</text>')
    for tick in ticks(x_low, x_high):
        if x_low <= tick <= x_high:
            place = f'x="{x(tick):.1f}" y="{_HEIGHT - 8}"'
            parts.append(f'<text class="tick" {place} text-anchor="middle">{short(tick)}</text>')
    for index, line in enumerate(drawn):
        parts.append(_drawn(line, COLOURS[index % len(COLOURS)], [(x(step), y(value)) for step, value in line.points]))
    parts.append("</svg>")
    legend = "".join(
        f'<span><i style="background:{COLOURS[index % len(COLOURS)]}"></i>{html.escape(line.label)} '
        f"<b>{short(line.points[-1][1])}</b></span>"
        for index, line in enumerate(drawn)
    )
    caption = f"<b>{html.escape(title)}</b>" + (f" <em>{html.escape(unit)}</em>" if unit else "")
    told = f"<p>{html.escape(about)}</p>" if about else ""
    return f'<figure><figcaption>{caption}{told}</figcaption>{"".join(parts)}<div class="key">{legend}</div></figure>'


def _held(points: Points) -> list[tuple[float, float]]:
    """Those that are numbers, within what can be drawn."""
    finite = [point for point in points if math.isfinite(point[1])]
    return [(step, max(-_HIGHEST, min(_HIGHEST, value))) for step, value in finite]


def _drawn(line: Line, colour: str, places: Sequence[tuple[float, float]]) -> str:
    """The line, and dots along it that tell their value; a line of one point is a dot."""
    path = "M" + "L".join(f"{across:.1f} {down:.1f}" for across, down in places)
    alone = len(places) == 1
    dots = []
    for index in range(0, len(places), max(1, len(places) // MOST_DOTS)):
        (across, down), (step, value) = places[index], line.points[index]
        told = html.escape(f"{line.label} · step {short(step)} · {short(value)}")
        look = "r=3" if alone else "r=5 opacity=0"
        dots.append(f'<circle {look} cx="{across:.1f}" cy="{down:.1f}" fill="{colour}"><title>{told}</title></circle>')
    return f'<path fill="none" stroke="{colour}" stroke-width="1.6" d="{path}"/>{"".join(dots)}'


def thinned(points: Points, most: int = MOST_POINTS) -> Points:
    """At most so many points: of each stretch its mean, so that no outlier decides what is seen; ends stay."""
    if len(points) <= most:
        return points
    inner = points[1:-1]
    stretches = most - 2
    kept = [points[0]]
    for index in range(stretches):
        part = inner[index * len(inner) // stretches : (index + 1) * len(inner) // stretches]
        if part:
            kept.append((sum(step for step, _ in part) / len(part), sum(value for _, value in part) / len(part)))
    return [*kept, points[-1]]


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers from at most `low` to at least `high`, about so many."""
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [number * step for number in range(first, last + 1)]


def short(value: float) -> str:
    """A number in as few characters as tell it."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else str(value)
    if abs(value) >= 1e6 or abs(value) < 1e-3:
        return f"{value:.2g}"
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _padded(low: float, high: float, share: float) -> tuple[float, float]:
    """A range with room around it; a single number gets room to stand in."""
    if high - low <= 1e-12 * max(1.0, abs(low)):
        room = max(1.0, abs(low)) * 0.5
        return low - room, high + room
    return low - share * (high - low), high + share * (high - low)
