"""What rules on the configuration are made of: a problem, and the checks that many keys have in common.

Called by the rules of all sections (`*_rules.py`), so that one mistake is told in the same words wherever it is made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple


class Problem(NamedTuple):
    """One thing that is wrong, with the key to change."""

    key: str
    what: str
    mend: str

    def __str__(self) -> str:
        return f"{self.key}: {self.what} ({self.mend})"


def one_of(key: str, value: str, known: Sequence[str]) -> Iterator[Problem]:
    """A word must be known."""
    if value not in known:
        yield Problem(key, f"{value!r} is not known", f"choose one of {', '.join(known)}")


def at_least(key: str, value: float, low: float) -> Iterator[Problem]:
    """A number has a least, and is one: NaN is no less than anything, so it is asked for what is right."""
    if not value >= low:
        yield Problem(key, f"{value} is out of range", f"it must be at least {low}")


def between(key: str, value: float, low: float, high: float) -> Iterator[Problem]:
    """A number has a least and a greatest, and is one."""
    if not low <= value <= high:
        yield Problem(key, f"{value} is out of range", f"it must be between {low} and {high}")
