"""One line of the doctor's report."""

from __future__ import annotations

from typing import Literal

import msgspec

#: `ok`; `warn`: works, but something is slower, weaker or missing; `fail`: what is installed cannot do its work.
Level = Literal["ok", "warn", "fail"]


class Finding(msgspec.Struct, frozen=True):
    """What was looked at, how it stands, what was found, and what to do about it."""

    group: str
    subject: str
    level: Level
    found: str
    mend: str = ""
    """What to do; never empty unless the level is `ok`."""

    def __post_init__(self) -> None:
        if self.level != "ok" and not self.mend:
            raise ValueError(f"{self.subject}: a finding that is not ok says how to mend it")


def graded(group: str, subject: str, found: str, *, good: bool, otherwise: Level = "warn", mend: str) -> Finding:
    """`ok` if it is good, else the other level with its mend."""
    return Finding(group, subject, "ok", found) if good else Finding(group, subject, otherwise, found, mend)
