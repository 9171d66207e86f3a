"""What the safety section may not be set to, with reason and mend. Called by `azr.config.rules`.

A pattern meets whatever a model cares to write, in the process that makes the learner's batches. So its cost is bounded
when the configuration is read: every repetition has a largest number, and the numbers multiply to no more than
`LARGEST_COST` ways of matching from one place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from re import _constants as constants  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

from azr.config.sections.checking import Problem, at_least, one_of
from azr.config.sections.safety import ACTIONS, SafetyConfig
from azr.plugins import SAFETY, unknown_name

#: Ways in which a pattern may try to match from one place of the text: two gaps of sixty characters are 3,600.
LARGEST_COST = 10_000

_NAME = re.compile(r"[a-z][a-z0-9_]*")


def problems(safety: SafetyConfig) -> Iterator[Problem]:
    """Everything wrong with the section."""
    yield from one_of("safety.action", safety.action, ACTIONS)
    yield from at_least("safety.samples", safety.samples, 0)
    for name in safety.detectors:
        if (unknown := unknown_name(SAFETY, name)) is not None:
            yield Problem("safety.detectors", *unknown)
        if name in safety.patterns:
            told = f"a pattern and a detector are both called {name!r}"
            yield Problem("safety.patterns", told, "rename the pattern")
    for name, pattern in safety.patterns.items():
        key = f"safety.patterns.{name}"
        if not _NAME.fullmatch(name):
            yield Problem(key, f"{name!r} cannot name a metric", "use small letters, digits and underscores")
        try:
            cost = cost_of(pattern)
        except re.error as error:
            yield Problem(key, f"{pattern!r} is no regular expression: {error}", "mend it or take it out")
            continue
        if cost > LARGEST_COST:
            told = "without bound" if cost >= constants.MAXREPEAT else f"in {cost:,} ways"
            yield Problem(
                key,
                f"{pattern!r} may match {told} from one place, which hostile text can make slow",
                r"give repetitions a largest number, as in .{0,60} or \s{1,9}, and use two wide ones at most",
            )


def cost_of(pattern: str) -> int:
    """In how many ways the pattern may try to match from one place; at least `MAXREPEAT` when there is no bound."""
    return _cost(parser.parse(pattern, re.IGNORECASE | re.DOTALL))


def _cost(parsed: Any) -> int:
    total = 1
    for operation, argument in parsed:
        match operation:
            case constants.MAX_REPEAT | constants.MIN_REPEAT | constants.POSSESSIVE_REPEAT:
                _, most, inside = argument
                if most >= constants.MAXREPEAT:
                    return int(constants.MAXREPEAT)
                # Each repetition may go each of the ways inside; small powers only, or the number says enough.
                ways = _cost(inside)
                total *= int(most) if ways == 1 else min(ways ** min(int(most), 64) * int(most), constants.MAXREPEAT)
            case constants.BRANCH:
                total *= sum(_cost(choice) for choice in argument[1])
            case constants.SUBPATTERN:
                total *= _cost(argument[3])
            case constants.ASSERT | constants.ASSERT_NOT:
                total *= _cost(argument[1])
            case constants.ATOMIC_GROUP:
                total *= _cost(argument)
            case constants.GROUPREF_EXISTS:
                total *= _cost(argument[1]) + (_cost(argument[2]) if argument[2] else 1)
        total = max(1, total)
        if total >= constants.MAXREPEAT:
            return int(constants.MAXREPEAT)
    return total
