"""Every attack of the corpus against bare exec and against each back end: what was stated, what happened.

Reads the corpus under `tests/attacks`, so it needs a checkout. The goals are absolute: no escape, no leak between
programs, no accepted cheat, no end that an attack's own program leaves undecided; and each attack that can be shown
against bare `exec` must be shown in the same run.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from azr.bench import Report
from azr.bench.machine import checkout
from azr.errors import UsageError
from azr.piped import PipedConsole
from azr.text import shortened

if TYPE_CHECKING:
    from tests.attacks.corpus import Entry
    from tests.attacks.judge import Finding

SUMMARY = "all attacks against every sandbox back end, and against bare exec: escapes, leaks, accepted cheats"

#: How many attacks the corpus must hold.
_ATTACKS = 80
#: Characters of a cell that tells what is wrong.
_WIDTH = 60


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare which attacks and back ends, and how much to print."""
    parser.add_argument("--only", metavar="TEXT", default="", help="only attacks whose name holds TEXT")
    parser.add_argument("--backend", action="append", metavar="NAME", help="only this back end; may be repeated")
    parser.add_argument("--brief", action="store_true", help="print classes only, not every attack")


def run(arguments: argparse.Namespace, report: Report) -> None:
    """Attack everything; print the table; hold the goals."""
    folder = checkout()
    if folder is None or not (folder / "tests" / "attacks").is_dir():
        raise UsageError("the attacks are part of the source, not of the wheel", "run azr bench attacks in a checkout")
    sys.path.insert(0, str(folder))  # imports of the tests stand in functions: they are found only from here on
    from tests.attacks import corpus
    from tests.attacks.backends import BACKENDS

    entries = [entry for entry in corpus.load() if arguments.only in entry.id]
    names = tuple(arguments.backend or BACKENDS)
    if unknown := set(names) - set(BACKENDS):
        raise UsageError(f"no back end is called {', '.join(sorted(unknown))}", f"choose from {', '.join(BACKENDS)}")
    shown = _show_against_bare_exec(entries, report)
    findings = {name: _attack(name, entries, report) for name in names}
    _print(entries, shown, findings, brief=arguments.brief)
    _tell(report, entries, shown, findings, whole=not arguments.only)


def _show_against_bare_exec(entries: list[Entry], report: Report) -> dict[str, bool]:
    """Which attacks have the effect they state, of those that can be shown."""
    from tests.attacks import bare

    report.progress("bare exec")
    effects = bare.effects_of_all(entry for entry in entries if entry.attack.bare)
    return {entry.id: entry.attack.bare in effects[entry.id] for entry in entries if entry.attack.bare}


def _attack(name: str, entries: list[Entry], report: Report) -> dict[str, Finding]:
    """All attacks against one worker of one back end, one after the other."""
    from tests.attacks import world
    from tests.attacks.backends import target
    from tests.attacks.judge import judge

    findings: dict[str, Finding] = {}
    with target(name) as sandbox:
        for entry in entries:
            report.progress(f"{name}: {entry.id}")
            with world.planted() as planted:
                findings[entry.id] = judge(entry, sandbox, name, planted)
    return findings


def _print(
    entries: list[Entry], shown: dict[str, bool], findings: dict[str, dict[str, Finding]], *, brief: bool
) -> None:
    table = Table(title="attacks", title_justify="left", title_style="bold")
    table.add_column("attack")
    table.add_column("bare exec")
    for name in findings:
        table.add_column(name)
    if brief:
        for group in dict.fromkeys(entry.group for entry in entries):
            of_class = [entry for entry in entries if entry.group == group]
            stated = [
                f"{sum(found[entry.id].stated for entry in of_class)} of {len(of_class)} as stated"
                for found in findings.values()
            ]
            succeed = sum(shown.get(entry.id, False) for entry in of_class)
            table.add_row(group, f"{succeed} of {len(of_class)} shown to succeed", *stated)
    else:
        for entry in entries:
            cells = (_cell(found[entry.id]) for found in findings.values())
            effect = entry.attack.bare if shown.get(entry.id) else "not seen" if entry.attack.bare else "—"
            table.add_row(Text(entry.id), Text(effect or ""), *cells)
    PipedConsole().print(table)


def _cell(finding: Finding) -> Text:
    """The outcome, and in red what is wrong with it. Only words of ours: an attack's text is not printed."""
    if finding.stated:
        return Text(finding.outcome, style="green")
    return Text(shortened(f"{finding.outcome}: {' '.join(finding.escaped) or finding.wrong}", _WIDTH), style="bold red")


def _tell(
    report: Report,
    entries: list[Entry],
    shown: dict[str, bool],
    findings: dict[str, dict[str, Finding]],
    *,
    whole: bool,
) -> None:
    report.settings |= {"attacks": len(entries), "back ends": ", ".join(findings)}
    sizes = Counter(entry.group for entry in entries)
    for group, size in sizes.items():
        report.measure(f"{group}, attacks", "attacks", [size])
        succeed = sum(shown.get(entry.id, False) for entry in entries if entry.group == group)
        report.measure(f"{group}, shown against bare exec", "attacks", [succeed])
        for name, found in findings.items():
            stated = sum(finding.stated for finding in found.values() if finding.attack.startswith(group + "/"))
            report.measure(f"{group}, ended as stated in {name}", "attacks", [stated])
    if whole:
        report.goal("attacks in the corpus", len(entries), at_least=_ATTACKS)
    report.goal("shown to succeed against bare exec", sum(shown.values()), at_least=len(shown))
    for name, found in findings.items():
        counts: dict[str, Callable[[Finding], bool]] = {
            "escapes": lambda finding: bool(finding.escaped),
            "leaks": lambda finding: finding.leaked,
            "accepted cheats": lambda finding: finding.accepted,
            "left undecided by the attack itself": lambda finding: finding.undecided,
        }
        for what, counted in counts.items():
            report.goal(f"{what}, {name}", sum(map(counted, found.values())), at_most=0)
        if let_in := [finding.attack for finding in found.values() if finding.stated and finding.outcome == "accepted"]:
            report.note(f"{name} accepts, as their files state and explain: {', '.join(let_in)}")
        report.check(f"every attack on {name} ended as its file states", *_verdict(found.values()))


def _verdict(findings: Iterable[Finding]) -> tuple[bool, str]:
    each = list(findings)
    others = [finding.attack for finding in each if not finding.stated]
    return not others, f"{len(each) - len(others)} of {len(each)}{'; not: ' + ', '.join(others) if others else ''}"
