"""The page: everything of a run in one HTML file that fetches nothing and runs nothing.

Pure. Called by `azr report`. All that a model or a user wrote passes through `html.escape`, control characters and
direction marks written out (`azr.text.printable`); a policy in the page's head forbids scripts and every fetch besides.

    History ──► before and after ─► at a glance (chosen charts) ─► all metrics by owner ─► flagged ─► tasks ─► settings
"""

from __future__ import annotations

import html
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from azr.metrics.catalogue import METRICS, OWNERS
from azr.metrics.definition import Metric
from azr.report.chart import Line, chart, short
from azr.report.history import Evaluation, History
from azr.text import printable

#: Metrics that tell how a run goes, in the order in which one asks.
GLANCE = (
    "eval/accuracy",
    "solve/accuracy",
    "solve/malformed",
    "reward/mean",
    "proposal/valid",
    "proposal/solve_rate",
    "off_policy/staleness",
    "off_policy/mismatch_k3",
    "off_policy/ess",
    "loss/entropy",
    "perf/generated_tokens_per_second",
    "perf/trained_tokens_per_second",
    "perf/learner_idle",
    "perf/rollout_idle",
    "ledger/trained_share",
)

#: Lines of a chart beyond which it is a tangle: then there are several.
MOST_LINES = 10

#: Characters shown of one text that a model wrote.
MOST_TEXT = 4000

#: Which of a histogram's four numbers are drawn.
_DRAWN = (".mean", ".p95")

_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;margin:0 auto;max-width:1500px;padding:1rem 1.5rem}
body{color:#1b2a41;background:#fff}
h1{font-size:1.6rem;margin:.4rem 0}h2{font-size:1.15rem;margin:1.6rem 0 .4rem;border-bottom:1px solid #d8dee9}
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(400px,1fr));gap:1rem}
figure{margin:0;padding:.6rem;border:1px solid #e3e8f0;border-radius:6px}figcaption{font-size:.9rem}
figcaption p{margin:.1rem 0;color:#5b6b82;font-size:.8rem}figcaption em{color:#5b6b82;font-style:normal}
svg{width:100%;height:auto}.grid{stroke:#e3e8f0}.tick{font-size:10px;fill:#5b6b82}
.key{display:flex;flex-wrap:wrap;gap:.1rem .9rem;font-size:.78rem}
.key i{display:inline-block;width:.7em;height:.7em;margin-right:.3em}
table{border-collapse:collapse;font-size:.88rem}
td,th{padding:.2rem .7rem;text-align:left;border-bottom:1px solid #e3e8f0}
td.n{text-align:right;font-variant-numeric:tabular-nums}.up{color:#00795a}.down{color:#b34700}
pre{white-space:pre-wrap;overflow-wrap:anywhere;background:#f6f8fb;padding:.6rem;border-radius:6px;font-size:.8rem}
mark{background:#ffe08a}details{margin:.4rem 0}summary{cursor:pointer}.quiet{color:#5b6b82}
"""


def page(history: History) -> str:
    """The whole page."""
    body = "".join(
        (
            _head(history),
            _before_and_after(history.evaluations),
            _section("At a glance", _charts(history, GLANCE), charts=True),
            _owners(history),
            _flagged(history),
            _tasks(history),
            _settings(history),
        )
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width">'
        f"<title>azr · {shown(history.name)}</title><style>{_STYLE}</style></head><body>{body}</body></html>\n"
    )


def shown(text: str) -> str:
    """Text of any origin as it may stand in a page."""
    cut = text if len(text) <= MOST_TEXT else text[:MOST_TEXT] + " …"
    return html.escape(printable(cut, newlines=True))


def _head(history: History) -> str:
    card = history.card
    facts = [f"{history.steps:,} learner steps", f"{history.task_count:,} accepted tasks trained on"]
    if isinstance(started := card.get("started"), int | float):
        facts.insert(0, time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(started)))
    if isinstance(starts := card.get("starts"), int) and starts > 1:
        facts.append(f"resumed {starts - 1} times")
    if ended := str(card.get("ended", "")):
        facts.append(ended)
    if why := str(card.get("not_evaluated", "")):
        facts.append(f"not evaluated after training: {why}")
    return f'<h1>{shown(history.name)}</h1><p class="quiet">{" · ".join(shown(fact) for fact in facts)}</p>'


def _before_and_after(evaluations: Sequence[Evaluation]) -> str:
    if not evaluations:
        return ""
    first, last = evaluations[0], evaluations[-1]
    before = {row.key: row for row in first.rows}
    rows = []
    for row in last.rows:
        cells = f"<td>{shown(row.difficulty)}</td><td>{shown(row.cell)}</td><td>{shown(row.sampling)}</td>"
        earlier = before.get(row.key)
        if earlier is not None and first is not last:
            points = 100.0 * (row.right - earlier.right)
            direction = "up" if points > 0 else "down" if points < 0 else ""
            cells += f'<td class="n">{earlier.right:.1%}</td><td class="n">{row.right:.1%}</td>'
            cells += f'<td class="n {direction}">{points:+.1f}</td>'
            cells += f'<td class="n">{earlier.length:.0f} → {row.length:.0f}</td>'
        else:
            cells += f'<td></td><td class="n">{row.right:.1%}</td><td></td><td class="n">{row.length:.0f}</td>'
        rows.append(f'<tr>{cells}<td class="n">{row.malformed:.1%}</td><td class="n">{row.responses:,}</td></tr>')
    header = "<tr><th>tasks<th>cell<th>sampling<th>step {}<th>step {}<th>points<th>length<th>malformed<th>answers</tr>"
    table = f"<table>{header.format(first.step, last.step)}{''.join(rows)}</table>"
    return _section("Held-out tasks", table)


def _section(title: str, content: str, *, charts: bool = False) -> str:
    if not content:
        return ""
    inner = f'<div class="charts">{content}</div>' if charts else content
    return f"<h2>{html.escape(title)}</h2>{inner}"


def _owners(history: History) -> str:
    parts = []
    for owner, meaning in OWNERS.items():
        names = [name for name, metric in METRICS.items() if metric.owner == owner]
        if content := _charts(history, names):
            parts.append(
                f"<details><summary><b>{owner}</b> <span class=quiet>{html.escape(meaning)}</span></summary>"
                f'<div class="charts">{content}</div></details>'
            )
    return _section("All metrics", "".join(parts))


def _charts(history: History, names: Sequence[str]) -> str:
    return "".join(
        chart(printable(title), [each.line for each in found], unit=METRICS[name].unit, about=METRICS[name].description)
        for name in names
        for title, found in _split(name, _lines(history, METRICS[name]))
    )


class _Drawn(NamedTuple):
    """A line of a metric, and what it is told apart by."""

    label: str
    suffix: str
    line: Line


def _lines(history: History, metric: Metric) -> list[_Drawn]:
    """The lines of a metric: one for each label, of a histogram its mean and its 95th percentile."""
    found: list[_Drawn] = []
    suffixes = _DRAWN if metric.reduction == "histogram" else ("",)
    for name, points in sorted(history.series.items()):
        for suffix in suffixes:
            base = name.removesuffix(suffix)
            if suffix and base == name:
                continue
            if base == metric.name or base.startswith(f"{metric.name}/"):
                label = base.removeprefix(metric.name).strip("/")
                number = suffix.removeprefix(".")
                shown_as = f"{label} {number}".strip() or metric.name
                found.append(_Drawn(label, number, Line(printable(shown_as), points)))
    return found


#: By what lines of one chart are told apart when they are too many: a histogram's numbers, then the first word of the
#: label, as in `common/deduction/solve/greedy`.
_KEYS: tuple[Callable[[_Drawn], str], ...] = (lambda one: one.suffix, lambda one: one.label.partition("/")[0])


def _split(title: str, lines: list[_Drawn]) -> Iterator[tuple[str, list[_Drawn]]]:
    """The charts of a metric, with their titles: one, or as many as it takes for none to be a tangle."""
    if len(lines) <= MOST_LINES:
        yield title, lines
        return
    for key in _KEYS:
        words = dict.fromkeys(map(key, lines))
        if 1 < len(words) <= MOST_LINES:
            for word in words:
                yield from _split(f"{title} {word}", [one for one in lines if key(one) == word])
            return
    for first in range(0, len(lines), MOST_LINES):
        part = lines[first : first + MOST_LINES]
        yield f"{title} {first + 1} to {first + len(part)} of {len(lines)}", part


def _flagged(history: History) -> str:
    if not history.flagged:
        return ""
    parts = [
        f"<details><summary>step {each.step} · {shown(each.cell)} · {shown(each.rule)}"
        f"{' · left out' if each.quarantined else ''}</summary>"
        f"<pre>{shown(each.before)}<mark>{shown(each.found)}</mark>{shown(each.after)}</pre></details>"
        for each in sorted(history.flagged, key=lambda each: each.step)
    ]
    note = '<p class="quiet">A fair sample of all responses that a rule flagged, with the words around.</p>'
    return _section("Flagged by the safety watch", note + "".join(parts))


def _tasks(history: History) -> str:
    if not history.tasks:
        return ""
    parts = []
    for task in history.tasks:
        first = task.program.strip().splitlines()[0] if task.program.strip() else ""
        pairs = "\n".join(f"f({given}) -> {gives}" for given, gives in zip(task.inputs, task.outputs, strict=False))
        told = f"{task.message}\n\n" if task.message else ""
        parts.append(
            f"<details><summary>{shown(task.task_type)} · <code>{shown(first[:100])}</code></summary>"
            f"<pre>{shown(told)}{shown(task.program)}\n\n{shown(pairs)}</pre></details>"
        )
    count = f"{len(history.tasks)} of {history.task_count:,} accepted tasks that were trained on"
    note = f'<p class="quiet">{count}, drawn evenly over the run.</p>'
    return _section("Proposed tasks", note + "".join(parts))


def _settings(history: History) -> str:
    parts = ""
    if history.config:
        # The whole of it: these are the user's own words, and a cut file would reproduce nothing.
        text = html.escape(printable(history.config, newlines=True))
        parts = f"<details><summary>config.yaml</summary><pre>{text}</pre></details>"
    last = "".join(
        f'<tr><td>{shown(name)}</td><td class="n">{short(points[-1][1])}</td></tr>'
        for name, points in sorted(history.series.items())
        if points
    )
    if last:
        parts += f"<details><summary>Last value of each number</summary><table>{last}</table></details>"
    return _section("Settings and numbers", parts)
