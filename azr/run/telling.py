"""What a step was like, in one report: the learner's word on it, and what everybody else said since the one before.

Owns what players and parts have said and no step has told yet. Called by the driver's rounds; players are heard in the
thread that asks them.

    learner: a step's parts ─┐
    players: what they count ─┼─► tell ─► trackers, console, alarms, tasks.jsonl, flagged.jsonl
    services, engines: as they stand ┘
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from actors.players import start as players
from actors.services.records import Books
from actors.services.task_service import Stock
from azr.config.root import Config
from azr.errors import AzrError
from azr.files import append_lines, write_bytes
from azr.metrics import Accumulator, merged
from azr.run.alarms import Alarms
from azr.run.console import Console
from azr.run.folder import RunFolder
from azr.run.gathering import EnginesStand, Rate, TrainedShare, tell_books, tell_engines, tell_stocks
from azr.run.hub import StepParts
from azr.run.polling import Poll
from azr.run.tracking import TrackingBoard

#: Steps at which a gap between engine and learner ends the run; later it is said.
COMPARED_STEPS = 2

#: What to mend first where the engine samples from a part of the vocabulary: its log-probs are of that part alone.
_WHOLE = "set algorithm.sampling.top_p=1 and top_k=-1 (the learner's log-probs are of the whole vocabulary), "


class Standing:
    """How services and engines are, as they said last."""

    def __init__(
        self,
        books: Callable[[], list[Books]],
        stocks: Callable[[], list[Stock]],
        engines: Callable[[], EnginesStand],
        *,
        seconds: float,
    ) -> None:
        self.books: Poll[list[Books]] = Poll("experience", books, seconds=seconds)
        self.stocks: Poll[list[Stock]] = Poll("tasks", stocks, seconds=seconds)
        self.engines: Poll[EnginesStand] = Poll("engines", engines, seconds=seconds)


class Teller:
    """Tells steps of one driver."""

    def __init__(
        self,
        config: Config,
        folder: RunFolder,
        console: Console,
        tracking: TrackingBoard,
        standing: Standing,
        *,
        elapsed: Callable[[], float],
    ) -> None:
        """`elapsed` tells the seconds of training, earlier drivers' included."""
        self._config, self._folder, self._console, self._tracking = config, folder, console, tracking
        self._standing, self._elapsed = standing, elapsed
        self._lock = threading.Lock()
        self._gathered: dict[str, Accumulator] = {}
        """Of players, since the last step that was told with everything."""
        self._engines_before = EnginesStand()
        self._alarms = Alarms(config.run.parity_limit)
        self._trained_share = TrainedShare()
        self._compared = 0
        """Steps at which engine and learner were."""
        self._fresh: dict[str, float] = {}
        self._stepped_at = time.monotonic()
        self._executions = Rate(self._stepped_at)

    def hear(self, found: dict[str, Any]) -> None:
        """Players reported: keep what they counted until the next step is told."""
        for name, accumulator in players.metrics(found).items():
            self._gather(name, accumulator)

    def tell(self, steps: Sequence[StepParts], loose: Sequence[bytes]) -> None:
        """Tell steps that the learner ended; of several the last with what everybody else said. `loose` was counted
        beside the steps: how weights travelled."""
        for content in loose:
            self._gather("loose", Accumulator.from_bytes(content))
        for place, parts in enumerate(steps):
            self._tell(parts, everything=place == len(steps) - 1)

    def fresh(self) -> dict[str, float]:
        """The values of the newest step that was told since this was asked last."""
        fresh, self._fresh = self._fresh, {}
        return fresh

    def waiting(self, now: float) -> str:
        """What to say of a learner that has ended no step for long."""
        return self._alarms.waiting(now - self._stepped_at, self._counted)

    def _gather(self, name: str, accumulator: Accumulator) -> None:
        with self._lock:
            self._gathered[f"{name}@{len(self._gathered)}"] = accumulator

    def _counted(self) -> dict[str, float]:
        with self._lock:
            return merged(self._gathered).report()

    def _tell(self, parts: StepParts, *, everything: bool) -> None:
        """A step's numbers: the learner's and the batch's own, and with `everything` what all others said since."""
        shards: dict[str, Accumulator] = {}
        for name in ("source", "learner"):
            if name in parts.parts:
                shards[name] = Accumulator.from_bytes(parts.parts[name])
        self._trained_share.told(parts.step, merged(shards).report())
        own = Accumulator()
        own.add("time/elapsed", self._elapsed(), at=parts.step)
        if everything:
            with self._lock:
                shards |= self._gathered
                self._gathered = {}
            self._tell_standing(own, parts.step, merged(shards).report())
        values = merged({**shards, "driver": own}).report()
        self._fresh, self._stepped_at = values, time.monotonic()
        self._tracking.metrics(parts.step, values)
        self._console.step(values)
        if tasks := parts.parts.get("tasks"):
            with contextlib.suppress(OSError):  # a full disk is said elsewhere
                append_lines(self._folder.tasks, tasks)
        if flagged := parts.parts.get("flagged"):
            with contextlib.suppress(OSError):
                write_bytes(self._folder.flagged, flagged)
        for told in self._alarms.step(parts.step, values):
            self._console.say(told)
        self._check_parity(values)  # last: the step that ends a run by it is the one to look at afterwards

    def _tell_standing(self, own: Accumulator, step: int, told: dict[str, float]) -> None:
        books, engines = self._standing.books.latest or [], self._standing.engines.latest or EnginesStand()
        tell_books(own, books, self._config.staleness)
        tell_stocks(own, self._standing.stocks.latest or [])
        if (share := self._trained_share.of(books)) is not None:
            own.add("ledger/trained_share", share, at=step)
        runs = told.get("sandbox/executions", 0.0)
        if (rate := self._executions.told(runs, time.monotonic())) is not None:
            own.add("sandbox/executions_per_second", rate, at=step)
        tell_engines(own, engines, self._engines_before, step)
        self._engines_before = engines.after(self._engines_before)

    def _check_parity(self, values: dict[str, float]) -> None:
        """Engine and learner must say the same of the same tokens under the same weights, at the first steps that have
        such tokens: a run whose engine samples from another model than is trained learns nothing it should. The first
        is of weights that engines may have loaded by themselves, the next of weights that were handed to them."""
        gap, limit = values.get("off_policy/mismatch_k3"), self._config.run.parity_limit
        if gap is None or self._compared >= COMPARED_STEPS:
            return
        self._compared += 1
        if not gap <= limit:
            sampling = self._config.algorithm.sampling
            whole = "" if sampling.top_p == 1.0 and sampling.top_k == -1 else _WHOLE
            raise AzrError(
                f"engine and learner differ by {gap:.2g} nats on the same tokens under the same weights "
                f"(run.parity_limit is {limit:g})",
                f"{whole}make rollout.dtype and learner.compute_dtype alike, look at the attention back end "
                "(azr doctor), or raise run.parity_limit",
            )
