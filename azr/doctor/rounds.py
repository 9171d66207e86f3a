"""All examinations in order; one that itself fails becomes a finding, so that the report is always whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from azr.doctor.finding import Finding
from azr.doctor.machine import examine_machine
from azr.doctor.packages import examine_packages
from azr.doctor.sandbox import examine_sandbox
from azr.doctor.trials import examine_deep

Examination = Callable[[], Iterator[Finding]]


def examine(*, deep: bool) -> Iterator[Finding]:
    """Findings as they come; with `deep`, the heavy packages are imported and used too."""
    examinations: list[Examination] = [examine_packages, examine_machine, examine_sandbox]
    if deep:
        examinations.append(examine_deep)
    for examination in examinations:
        yield from guarded(examination)


def guarded(examination: Examination) -> Iterator[Finding]:
    """The findings of one examination, and a finding about itself if it breaks."""
    try:
        yield from examination()
    except Exception as error:  # the doctor reports; it does not die of what it finds
        name = examination.__name__.removeprefix("examine_")
        yield Finding(name, name, "warn", f"could not be examined: {type(error).__name__}: {error}", "report this")
