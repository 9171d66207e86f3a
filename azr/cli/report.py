"""`azr report`: a run as one page."""

from __future__ import annotations

import argparse
from pathlib import Path

SUMMARY = "Write a run as one HTML page with plots, results and samples."
EPILOG = """The page is one file without scripts that fetches nothing: open it from disk, mail it, keep it. It can be
written while the run goes on. Text that the model wrote is escaped.

examples:
  azr report runs/default                        writes runs/default/report.html
  azr report runs/default --out page.html --tasks 200
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("run", type=Path, help="a run's folder")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where to write it (default: RUN/report.html)")
    parser.add_argument("--tasks", type=int, default=40, help="accepted tasks shown, drawn evenly (default 40)")


def run(arguments: argparse.Namespace) -> int:
    """Write the page and say where."""
    from azr.files import write_text
    from azr.report import page, read_history

    out = arguments.out or arguments.run / "report.html"
    write_text(out, page(read_history(arguments.run, tasks=arguments.tasks)))
    print(out)
    return 0
