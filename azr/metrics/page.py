"""`docs/metrics.md`, written from the catalogue: `python -m azr.metrics.page docs/metrics.md`. A test keeps it so."""

from __future__ import annotations

import sys
from pathlib import Path

from azr import files
from azr.metrics.catalogue import METRICS, OWNERS
from azr.metrics.definition import REDUCTIONS

_PREAMBLE = """\
# Metrics

Every number azr reports. Written by `python -m azr.metrics.page docs/metrics.md` from `azr/metrics/catalogue.py`; edit
that, not this page. A metric with an entry under *by* is one series for each of its values, which is appended to the
name: `reward/mean/deduction/solve`.

The values that all processes report during a step become:

"""


def page() -> str:
    """The whole page."""
    parts = [_PREAMBLE, *(f"- `{name}`: {meaning}\n" for name, meaning in REDUCTIONS.items())]
    for owner, meaning in OWNERS.items():
        parts.append(f"\n## {owner}\n\n{meaning}\n\n| name | by | reduced | unit | meaning |\n|---|---|---|---|---|\n")
        parts += [
            f"| `{metric.name}` | {metric.by} | {metric.reduction} | {metric.unit} | {metric.description} |\n"
            for metric in METRICS.values()
            if metric.owner == owner
        ]
    return "".join(parts)


if __name__ == "__main__":
    files.write_text(Path(sys.argv[1]), page())
