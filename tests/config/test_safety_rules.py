"""Patterns are bounded when they are read, because they meet text that wants to be slow to match."""

from __future__ import annotations

import re
import time

import pytest

from azr.config import Config, load
from azr.config.rules import problems
from azr.config.sections.safety import SafetyConfig
from azr.config.sections.safety_rules import LARGEST_COST, cost_of


def told(**safety: object) -> str:
    return "\n".join(map(str, problems(Config(safety=SafetyConfig(**safety)))))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("pattern", "ways"),
    [
        ("deceive", 1),
        ("deceives?", 1),
        (r"\bhide\b.{0,60}from", 60),
        (r"a.{0,60}b.{0,60}c", 3600),
        ("cat|dog|bird", 3),
        ("(cat|dog) food", 2),
        (r"a\s{1,9}b", 9),
        ("(?=.{0,5}x)y", 5),
    ],
)
def test_ways_multiply_over_repetitions_and_add_over_choices(pattern: str, ways: int) -> None:
    assert cost_of(pattern) == ways


@pytest.mark.parametrize(
    "pattern",
    [".*", "a+", "(a+)+$", "(a|a)*b", "(a{0,9}){0,60}b", "(ab|cd|b){30}", "a.{0,200}b.{0,200}", "(?:x{0,3}){0,40}"],
)
def test_what_hostile_text_can_make_slow_is_refused_with_the_way_to_write_it(pattern: str) -> None:
    message = told(patterns={"slow": pattern})
    assert "safety.patterns.slow" in message
    assert "give repetitions a largest number" in message


def test_the_dearest_pattern_allowed_is_quick_on_text_made_against_it() -> None:
    pattern = ".{0,99}.{0,99}x"
    assert cost_of(pattern) <= LARGEST_COST
    began = time.process_time()
    assert re.search(pattern, "a" * 2000) is None
    assert time.process_time() - began < 5.0


@pytest.mark.parametrize(
    ("safety", "message"),
    [
        ({"patterns": {"odd": "("}}, "is no regular expression"),
        ({"patterns": {"Not a name": "x"}}, "cannot name a metric"),
        ({"action": "delete"}, "choose one of count, quarantine"),
        ({"samples": -1}, "must be at least 0"),
    ],
)
def test_other_mistakes_are_told_with_their_key(safety: dict[str, object], message: str) -> None:
    assert message in told(**safety)


def test_the_patterns_that_ship_are_allowed() -> None:
    assert len(load([], ["safety=uh_oh"]).safety.patterns) >= 5
