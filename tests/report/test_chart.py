"""Charts are SVG text whose places can be worked out by hand."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import pytest

from azr.report.chart import MOST_DOTS, MOST_POINTS, Line, chart, short, thinned, ticks


def test_ticks_are_round_and_cover_the_range() -> None:
    assert ticks(0.0, 1.0) == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert ticks(3.0, 97.0) == pytest.approx([0, 20, 40, 60, 80, 100])
    assert ticks(-0.05, 0.04) == pytest.approx([-0.06, -0.04, -0.02, 0.0, 0.02, 0.04])


def test_a_line_goes_from_corner_to_corner() -> None:
    """Values 0 to 1 get a twentieth of room, so the axis is -0.5 to 1.5; the frame is 58…450 by 10…194."""
    text = chart("up", [Line("a", [(0.0, 0.0), (10.0, 1.0)])])
    [path] = re.findall(r'stroke-width="1.6" d="([^"]+)"', text)
    low, high = ticks(-0.05, 1.05)[0], ticks(-0.05, 1.05)[-1]
    first = 194 - (0 - low) / (high - low) * 184
    last = 194 - (1 - low) / (high - low) * 184
    assert path == f"M58.0 {first:.1f}L450.0 {last:.1f}"


def test_it_is_well_formed_with_a_legend_that_tells_the_last_value() -> None:
    text = chart("reward/mean", [Line("<b>&", [(1.0, 0.5), (2.0, 0.75)]), Line("other", [(1.0, -3.0)])], unit="1")
    svg = text[text.index("<svg") : text.index("</svg>") + 6].replace("r=5 opacity=0", "").replace("r=3", "")
    ElementTree.fromstring(svg)
    assert "&lt;b&gt;&amp; <b>0.75</b>" in text
    assert "<b>&" not in text.replace("<b>&lt;", "")


def test_what_is_not_finite_is_not_drawn() -> None:
    assert "nan" not in chart("x", [Line("a", [(1.0, math.nan), (2.0, 1.0), (3.0, math.inf)])])
    assert chart("x", [Line("a", [(1.0, math.nan)])]) == ""
    assert chart("x", []) == ""


def test_numbers_whose_difference_is_none_are_drawn_at_the_edge() -> None:
    """Of a run that diverged, whose page one wants to see most."""
    text = chart("x", [Line("a", [(1.0, 1e308), (2.0, -1e308), (3.0, 0.0)])])
    assert "nan" not in text
    assert "inf" not in text


def test_a_constant_line_has_room_to_stand_in() -> None:
    assert "NaN" not in chart("flat", [Line("a", [(1.0, 2.0), (2.0, 2.0)])])


def test_long_lines_are_thinned_to_means_and_keep_their_ends() -> None:
    points = [(float(step), float(step % 2)) for step in range(10_001)]
    kept = thinned(points)
    assert len(kept) <= MOST_POINTS
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    assert all(0.4 < value < 0.6 for _, value in kept[1:-1])
    assert thinned(points[:MOST_POINTS]) == points[:MOST_POINTS]


def test_a_chart_of_any_length_stays_small() -> None:
    text = chart("long", [Line("a", [(float(step), math.sin(step)) for step in range(100_000)])])
    assert text.count("<circle") <= MOST_DOTS + 5
    assert len(text) < 20_000


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0"), (0.12345, "0.123"), (1234.5, "1234"), (2.5e7, "2.5e+07"), (1e-6, "1e-06")]
)
def test_numbers_are_told_in_few_characters(value: float, text: str) -> None:
    assert short(value) == text
