"""What a person sees of a run: a live table on a terminal, plain lines anywhere else.

`view` is pure: metrics in, words out; the two ways of showing them share it. Whatever may come of a model passes
through `printable`, so that no control character ever reaches the terminal.

    metrics of a step ──view──► View(headline, one row a task type, facts) ─┬─ Live table (rich), redrawn in place
    stages, news ──┬────────────────────────────────────────────────────────┴─ one line a step, one line a piece of news
                   └──► logs/driver.log, with the time: news scroll out of a table
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import select
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import IO, NamedTuple, cast

from rich.box import SIMPLE_HEAD
from rich.console import Console as RichConsole
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from azr.run.stalled_readers import StalledReaders
from azr.text import printable

#: Pieces of news that the live table shows.
NEWS_SHOWN = 6
#: Refusals by reason that are shown.
REASONS_SHOWN = 4
#: Nothing to show.
NONE = "–"
#: What engines, players and services tell every two seconds is shown until they tell it anew, also through steps that
#: are faster than that. After so many seconds it is old.
TOLD_SECONDS = 10.0
#: Names of it, by how they begin: rates and what stands, not counts of what happened.
STANDING = (
    "perf/", "sandbox/executions_per_second", "buffer/tasks/", "proposal/solve_rate/", "proposal/at_extremes/",
    "reward/learnability/", "off_policy/mismatch_k3", "ledger/trained_share",
)  # fmt: skip
#: Bars of a histogram, from next to nothing to the highest.
BARS = "▁▂▃▄▅▆▇█"

Values = Mapping[str, float]


class Goal(NamedTuple):
    """Where a run ends."""

    steps: int = 0
    """Last step; 0: none."""
    seconds: float = 0.0
    """Seconds of training; 0: no bound."""


class Start(NamedTuple):
    """Where this driver took up the run."""

    step: int = 0
    seconds: float = 0.0
    """Of training by drivers before it."""


#: Of a run that is new.
BEGINNING = Start()


class View(NamedTuple):
    """A step in words."""

    headline: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]
    facts: list[tuple[str, str]]


#: Of a task type: attempts that were right; rewards of proposing and solving; unreadable answers; proposals let in;
#: their learnability; mean solve rate; tasks that nobody or everybody solves; tasks held.
COLUMNS = ("type", "solved", "rewards", "garbled", "valid", "learn", "rate", "flat", "tasks")


def view(values: Values, task_types: Sequence[str], goal: Goal, seconds: float, start: Start = BEGINNING) -> View:
    """What to show of a step's metrics, `seconds` into the training that began at `start`."""
    step = int(values.get("learner/step", 0))
    return View(
        headline=f"step {step}{_of(goal)}   {_time(step, seconds, goal, start)}",
        columns=COLUMNS,
        rows=[_row(values, kind) for kind in task_types],
        facts=_facts(values),
    )


def line(values: Values, task_types: Sequence[str], goal: Goal, seconds: float, start: Start = BEGINNING) -> str:
    """The same on one line, for logs."""
    step = int(values.get("learner/step", 0))

    def each(form: Callable[[float | None], str], name: str) -> str:
        return " ".join(form(values.get(name.format(kind))) for kind in task_types)

    solved = " ".join(f"{kind[:3]} {share(values.get(f'batch/accuracy/{kind}'))}" for kind in task_types)
    facts = dict(_facts(values))
    return (
        f"step {step}{_of(goal)}  solved {solved}  rewards {each(number, 'reward/mean/{}/propose')} / "
        f"{each(number, 'reward/mean/{}/solve')}  valid {each(share, 'batch/valid/{}')}  "
        f"tasks {each(partial(number, form=',.0f'), 'buffer/tasks/{}')}  refused {facts['refused']}  "
        f"age {facts['age']}  kl {facts['mismatch']}  ess {facts['ess']}  {facts['speed']}  "
        f"sandbox {facts['sandbox']}  waits {facts['waits']}  {_time(step, seconds, goal, start)}"
    )


def share(value: float | None) -> str:
    """A share as a percentage."""
    return NONE if value is None or math.isnan(value) else f"{100 * value:.0f}%"


def number(value: float | None, form: str = ".2f") -> str:
    """A number, or a dash for none."""
    return NONE if value is None else f"{value:{form}}"


def clock(seconds: float) -> str:
    """A time span as 1:05 or 2:01:05."""
    whole = max(0, round(seconds))
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def _of(goal: Goal) -> str:
    return f"/{goal.steps}" if goal.steps else ""


def _time(step: int, seconds: float, goal: Goal, start: Start) -> str:
    """How long the run has been trained, earlier drivers' time included, and how long it will still take: by whichever
    bound is met first, at the speed since this driver took it up."""
    whole, done = start.seconds + seconds, step - start.step
    bounds = []
    if goal.seconds:
        bounds.append(goal.seconds - whole)
    if goal.steps and done > 0:
        bounds.append((goal.steps - step) * seconds / done)
    left = f", {clock(min(bounds))} to go" if bounds else ""
    return f"{clock(whole)} gone{left}"


def _row(values: Values, kind: str) -> tuple[str, ...]:
    def get(name: str) -> float | None:
        return values.get(name.format(kind))

    return (
        kind,
        share(get("batch/accuracy/{}")),
        f"{number(get('reward/mean/{}/propose'))} / {number(get('reward/mean/{}/solve'))}",
        share(get("batch/malformed/{}")),
        share(get("batch/valid/{}")),
        number(get("reward/learnability/{}")),
        share(get("proposal/solve_rate/{}.mean")),
        share(get("proposal/at_extremes/{}")),
        number(get("buffer/tasks/{}"), ",.0f"),
    )


def _facts(values: Values) -> list[tuple[str, str]]:
    return [
        ("age", _staleness(values)),
        ("mismatch", number(values.get("off_policy/mismatch_k3"), ".1e")),
        ("ess", share(values.get("off_policy/ess"))),
        ("clipped", _sum_of_shares(values, "loss/clip_low_fraction", "loss/clip_high_fraction")),
        ("entropy", number(values.get("loss/entropy"))),
        ("speed", _speed(values)),
        ("waits", f"learner {share(values.get('perf/learner_idle'))} engines {share(values.get('perf/rollout_idle'))}"),
        ("sandbox", f"{number(values.get('sandbox/executions_per_second'), ',.0f')} runs/s"),
        ("trained", f"{share(values.get('ledger/trained_share'))} of all tokens"),
        ("refused", largest(values, "proposal/refused/")),
        ("dropped", largest(values, "ledger/discarded/")),
    ]


def _staleness(values: Values) -> str:
    """Mean and maximum over cells, and how many samples are 0, 1, 2 … steps old."""
    means = [
        value for name, value in values.items() if name.startswith("off_policy/staleness/") and name[-5:] == ".mean"
    ]
    highest = [
        value for name, value in values.items() if name.startswith("off_policy/staleness/") and name[-4:] == ".max"
    ]
    if not means:
        return NONE
    prefix = "off_policy/age_share/"
    ages = {int(name.removeprefix(prefix)): value for name, value in values.items() if name.startswith(prefix)}
    drawn = f" {bars([ages[age] for age in sorted(ages)])}" if ages else ""
    return f"{sum(means) / len(means):.1f} (≤ {max(highest):.0f}){drawn}"


def bars(shares: Sequence[float]) -> str:
    """A histogram as bars, the highest full; a class of which there is none is left blank as a dot."""
    top = max(shares, default=0.0)
    return "".join(BARS[min(7, int(8 * value / top))] if value > 0.0 else "·" for value in shares)


def _sum_of_shares(values: Values, *names: str) -> str:
    found = [values[name] for name in names if name in values]
    return f"{100 * sum(found):.1f}%" if found else NONE


def _speed(values: Values) -> str:
    made = number(values.get("perf/generated_tokens_per_second"), ",.0f")
    trained = number(values.get("perf/trained_tokens_per_second"), ",.0f")
    return f"{made} tok/s made, {trained} trained (with prompts)"


def largest(values: Values, prefix: str) -> str:
    """The most frequent of what is told apart by reason."""
    counts = {name.removeprefix(prefix): value for name, value in values.items() if name.startswith(prefix) and value}
    top = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:REASONS_SHOWN]
    return ", ".join(f"{printable(reason)} {value:,.0f}" for reason, value in top) or NONE


class _LastingConsole(RichConsole):
    """A console whose run outlives whoever watches it: a closed terminal, or the reader of a pipe (`| tee` hears of
    Ctrl-C as well, and leaves first). Rich would end the process, or raise."""

    def _check_buffer(self) -> None:
        try:
            super()._check_buffer()
        except OSError as error:
            del self._buffer[:]
            if error.errno == errno.EIO:  # a terminal that is gone, or a disk or network that may come back
                self.quiet = _leave_streams()

    def on_broken_pipe(self) -> None:
        """Go quiet."""
        self.quiet = True
        _leave_streams()


def _redraws(stream: IO[str]) -> bool:
    """Whether a table can stand there. Rich alone would also say so of a pipe under FORCE_COLOR, which many CI and job
    environments set, and on a terminal that cannot move its cursor it would show nothing before the end."""
    try:
        watched = stream.isatty()
    except ValueError:  # it is closed
        return False
    return watched and os.environ.get("TERM", "").lower() not in ("dumb", "unknown")


def _leave_streams() -> bool:
    """Let those of this process's streams lead nowhere that lead to nobody any more: a plain print would fail there,
    and Python itself when it ends. Whether there were any."""
    nowhere, left = os.open(os.devnull, os.O_WRONLY), False
    for stream in (1, 2):
        poll = select.poll()
        poll.register(stream, 0)
        if any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0)):
            os.dup2(nowhere, stream)
            left = True
    os.close(nowhere)
    return left


class Console:
    """Shows a run. `terminal` decides the form; None: whether the stream is one."""

    def __init__(
        self,
        task_types: Sequence[str],
        goal: Goal,
        *,
        stream: IO[str] | None = None,
        terminal: bool | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        stream = stream or sys.stdout
        patient = cast("IO[str]", StalledReaders(stream))
        self._terminal = _redraws(stream) if terminal is None else terminal
        self._rich = _LastingConsole(file=patient, force_terminal=self._terminal, highlight=False, soft_wrap=True)
        self._task_types, self._goal, self._clock = task_types, goal, clock
        self._start = BEGINNING
        self._began: float | None = None
        self._ended: float | None = None
        self._news: list[str] = []
        self._last: View | None = None
        self._told: dict[str, tuple[float, float]] = {}
        self._live: Live | None = None
        self._log: Path | None = None

    def keep(self, path: Path) -> None:
        """Write all news from now on into this file as well, each with the time."""
        self._log = path

    def say(self, text: str) -> None:
        """A piece of news: a stage, a warning, a result."""
        shown = printable(text, newlines=True)
        self._write(shown)
        if self._live is None:
            self._rich.print(Text(shown))
            return
        self._news = [*self._news, *shown.splitlines()][-NEWS_SHOWN:]
        self._live.update(self._drawn())

    def _write(self, text: str) -> None:
        """Into the log, if there is one; a full disk is told by others."""
        if self._log is None:
            return
        at = time.strftime("%Y-%m-%d %H:%M:%S")
        with contextlib.suppress(OSError), self._log.open("a") as file:
            file.writelines(f"{at} {line}\n" for line in text.splitlines())

    def begin(self, start: Start = BEGINNING) -> None:
        """Training begins, or goes on from `start`; the clock runs, and on a terminal the table stands."""
        self._start, self._began = start, self._clock()
        if self._terminal:
            self._live = Live(self._drawn(), console=self._rich, refresh_per_second=4, transient=False)
            self._live.start()

    @property
    def seconds(self) -> float:
        """Since this driver's training began."""
        if self._began is None:
            return 0.0
        return (self._clock() if self._ended is None else self._ended) - self._began

    def step(self, values: Values) -> None:
        """A step is done."""
        values = self._with_standing(values)
        self._last = view(values, self._task_types, self._goal, self.seconds, self._start)
        if self._live is None:
            self._rich.print(Text(printable(line(values, self._task_types, self._goal, self.seconds, self._start))))
        else:
            self._live.update(self._drawn())

    def _with_standing(self, values: Values) -> Values:
        """A step's metrics, and what was told shortly before it and still stands."""
        now = self._clock()
        self._told |= {name: (value, now) for name, value in values.items() if name.startswith(STANDING)}
        self._told = {name: told for name, told in self._told.items() if now - told[1] <= TOLD_SECONDS}
        return {**{name: value for name, (value, _) in self._told.items()}, **values}

    def end(self) -> None:
        """Training is over: the clock stops, the last table stays standing."""
        if self._ended is None:
            self._ended = self._clock()
        if self._live is not None:
            self._live.stop()
            self._live = None

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table of results."""
        shown = Table(*columns)
        for row in rows:
            shown.add_row(*(Text(printable(cell)) for cell in row))
        self._rich.print(shown)

    def _drawn(self) -> RenderableType:
        parts: list[RenderableType] = []
        if self._last is None:
            parts.append(Text("waiting for the first batch …"))
        else:
            parts.append(Text(self._last.headline, style="bold"))
            table = Table(box=SIMPLE_HEAD, padding=(0, 1))
            for index, column in enumerate(self._last.columns):
                table.add_column(column, no_wrap=True, justify="right" if index else "left")
            for row in self._last.rows:
                table.add_row(*map(Text, row))
            parts.append(table)
            facts = Table(show_header=False, box=None, padding=(0, 1))
            for label, value in self._last.facts:
                facts.add_row(Text(label, style="dim"), Text(value))
            parts.append(facts)
        parts += [Text(line) for line in self._news]
        return Group(*parts)
