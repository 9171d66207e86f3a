"""`azr doctor`: what works on this machine, what does not, and how to mend it."""

from __future__ import annotations

import argparse
import sys

import msgspec
from rich.text import Text

from azr.cli.main import EXIT_ERROR
from azr.doctor import Finding, examine
from azr.piped import PipedConsole
from azr.text import printable

SUMMARY = "What works on this machine, what does not, and how to mend it."
EPILOG = """examples:
  azr doctor             packages, machine, kernel features, one program in the sandbox (a few seconds)
  azr doctor --deep      also imports and uses torch, vLLM, Ray and the others (a minute or two)
  azr doctor --json      one JSON object a line: group, subject, level, found, mend

Exit status 1 when something that is installed cannot do its work; what is only slower, weaker or absent is a warning.
"""

_MARKS = {"ok": ("✓", "green"), "warn": ("!", "bold yellow"), "fail": ("✗", "bold red")}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare how deep to look and how to tell."""
    parser.add_argument("--deep", action="store_true", help="import and use the heavy packages, each with a deadline")
    parser.add_argument("--json", action="store_true", help="one JSON object a line, for programs")


def run(arguments: argparse.Namespace) -> int:
    """Tell each finding as it comes, then the sum."""
    levels: list[str] = []
    show = _show_json if arguments.json else _Page().show
    for finding in examine(deep=arguments.deep):
        levels.append(finding.level)
        show(finding)
    failed, warned = levels.count("fail"), levels.count("warn")
    if not arguments.json:
        print(f"\n{_sum_of(failed, warned)}")
    return EXIT_ERROR if failed else 0


def _show_json(finding: Finding) -> None:
    print(msgspec.json.encode(finding).decode(), flush=True)


def _sum_of(failed: int, warned: int) -> str:
    if failed:
        return f"{failed} broken, {warned} to look at: mend what is marked ✗ first."
    return f"Ready, with {warned} to look at." if warned else "All is well."


class _Page:
    """Findings as lines under the heading of their group."""

    def __init__(self) -> None:
        self._console = PipedConsole(file=sys.stdout, highlight=False, soft_wrap=True)
        self._group = ""

    def show(self, finding: Finding) -> None:
        """Print one finding, and its group's heading when it is the first of it."""
        if finding.group != self._group:
            self._console.print(Text(("\n" if self._group else "") + finding.group, style="bold"))
            self._group = finding.group
        mark, style = _MARKS[finding.level]
        line = Text.assemble("  ", (mark, style), f" {finding.subject:<16} {printable(finding.found)}")
        self._console.print(line)
        if finding.mend:
            self._console.print(Text(f"    {'':<16} → {finding.mend}", style="yellow"))
