"""Suggesting what a mistyped name may have meant; used for commands, configuration keys, presets and benchmarks."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name closest to `name`, or None when none is close."""
    candidates = sorted(known)
    by_lower = {candidate.lower(): candidate for candidate in candidates}
    close = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[close[0]] if close else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A sentence that helps after an unknown name: the nearest one, or the whole list when none is near."""
    candidates = sorted(known)
    if (close := candidates[0] if len(candidates) == 1 else nearest(name, candidates)) is not None:
        return f"did you mean {close!r}?"
    return f"known: {', '.join(candidates)}" if candidates else "none is known"
