"""What a player counts: its own accumulator of metrics, drained by the run."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Iterator

import psutil

from azr.game.reasons import MALFORMED
from azr.game.types import Cell, Proposal, Verdict
from azr.metrics.accumulator import Accumulator
from sandbox_wasm.protocol import Statistics


class PlayerTally:
    """Counts of one player since it was last asked."""

    def __init__(self, name: str, role: str) -> None:
        self.name = name
        self.role = role
        self.metrics = Accumulator()
        self.reasons: Counter[str] = Counter()
        """Failures by kind, since the player started."""
        self.done = 0
        """Pieces of work done, since the player started."""
        self._executions = 0
        self._by_status: Counter[str] = Counter()
        self._replaced = 0
        self._retries = 0

    @contextlib.contextmanager
    def part(self, part: str) -> Iterator[None]:
        """Time a part of a piece of work: `generate`, `judge` or `book`."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.metrics.add(f"player/{part}_seconds", time.monotonic() - began, label=self.role)

    def proposed(self, proposal: Proposal, retried: int) -> None:
        """A proposal was judged."""
        cell = proposal.trajectory.cell
        self._count_done()
        self.metrics.add("proposal/valid", float(proposal.task is not None), label=cell.task)
        self.metrics.add("solve/truncated", float(proposal.trajectory.truncated), label=str(cell))
        if proposal.task is None:
            self.metrics.add("proposal/refused", 1.0, label=proposal.reason)
        else:
            self.metrics.add("proposal/program_lines", float(_lines(proposal.task.program)), label=cell.task)
        if retried:
            self.metrics.add("player/judged_again", float(retried), label=self.role)

    def attempted(self, cell: Cell, verdict: Verdict, truncated: bool, retried: int) -> None:
        """An attempt was judged."""
        self.metrics.add("solve/accuracy", float(verdict.correct), label=cell.task)
        self.metrics.add("solve/malformed", float(verdict.reason.startswith(MALFORMED)), label=cell.task)
        self.metrics.add("solve/truncated", float(truncated), label=str(cell))
        if retried:
            self.metrics.add("solve/retried", float(retried), label=cell.task)

    def group_done(self) -> None:
        """A group of attempts is acknowledged."""
        self._count_done()

    def _count_done(self) -> None:
        self.done += 1
        self.metrics.add("player/done", 1.0, label=self.role)

    def failed(self, kind: str) -> None:
        """Something went wrong and was dealt with."""
        self.reasons[kind] += 1
        self.metrics.add("player/failures", 1.0, label=kind)

    def lanes(self, busy: int, count: int, waited_seconds: float) -> None:
        """How busy the lanes are now, and how long they waited for admission since last asked."""
        self.metrics.add("player/lanes_busy", busy / count if count else 0.0, label=self.role)
        self.metrics.add("player/work_wait", waited_seconds, label=self.role)

    def drain(self, sandbox: Statistics, retries: int) -> Accumulator:
        """Everything since the last time; the sandbox and the engines' client tell their part, so far."""
        self.metrics.add("rollout/retries", float(retries - self._retries))
        self._retries = retries
        self.metrics.add("sandbox/executions", float(sandbox.executions - self._executions))
        for status, count in sandbox.by_status.items():
            if more := count - self._by_status[status]:
                self.metrics.add("sandbox/status", float(more), label=status)
        self.metrics.add("sandbox/workers_replaced", float(sandbox.workers_replaced - self._replaced))
        self.metrics.add("perf/memory", float(psutil.Process().memory_info().rss), label=self.name)
        self._executions, self._replaced = sandbox.executions, sandbox.workers_replaced
        self._by_status = Counter(dict(sandbox.by_status))
        return self.metrics.drain()


def _lines(program: str) -> int:
    return program.count("\n") + 1
