"""Errors a person is expected to meet: each names the culprit and says how to mend it.

Raised anywhere in azr, caught in one place (`azr.cli.main`), which prints them without a traceback unless `--debug`
asks for one. So is what the system says of a file (an `OSError` with its name), and a sandbox that cannot be opened or
breaks. Anything else is a defect of ours and keeps its traceback.
"""

from __future__ import annotations


class AzrError(Exception):
    """Something the user can put right.

    `what` names the culprit (a key, a file, a machine part); `mend` says what to do about it.
    """

    def __init__(self, what: str, mend: str = "") -> None:
        super().__init__(what, mend)
        self.what = what
        self.mend = mend

    def __str__(self) -> str:
        return f"{self.what}\n  mend: {self.mend}" if self.mend else self.what


class UsageError(AzrError):
    """The command line asks for something that does not exist."""


class ConfigError(AzrError):
    """A configuration key, value, preset or file is wrong."""
