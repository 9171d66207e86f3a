"""Counts of what an engine does, gathered from vLLM's own records of each step."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from actors.engine.records import EngineStatistics


class StepCounter:
    """What vLLM calls with the records of each step (its `StatLoggerBase`, met by shape: the class is not imported)."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = self.last = clock()
        """When the last step was recorded."""
        self._running = self._waiting = 0
        self._kv_use = 0.0
        self._counts = dict.fromkeys(("generated_tokens", "prefix_queries", "prefix_hits", "preempted"), 0)
        self._busy_seconds = 0.0
        self.requests = 0
        self.updates = 0

    def __call__(self, *_vllm_config: Any, **_named: Any) -> StepCounter:
        """vLLM takes a factory; this is its own."""
        return self

    def record(self, scheduler_stats: Any, iteration_stats: Any, *_rest: Any, **_named: Any) -> None:
        """Take in one step."""
        now = self._clock()
        if self._running:
            self._busy_seconds += now - self.last
        self.last = now
        if scheduler_stats is not None:
            self._running = scheduler_stats.num_running_reqs
            self._waiting = scheduler_stats.num_waiting_reqs + scheduler_stats.num_skipped_waiting_reqs
            self._kv_use = scheduler_stats.kv_cache_usage
            prefix = scheduler_stats.prefix_cache_stats
            if prefix is not None:
                self._counts["prefix_queries"] += prefix.queries
                self._counts["prefix_hits"] += prefix.hits
        if iteration_stats is not None:
            self._counts["generated_tokens"] += iteration_stats.num_generation_tokens
            self._counts["preempted"] += iteration_stats.num_preempted_reqs

    def log(self) -> None:
        """Nothing: who wants the counts asks for them."""

    def log_engine_initialized(self) -> None:
        """Nothing."""

    def record_sleep_state(self, is_awake: int = 0, level: int = 0) -> None:
        """Nothing."""

    def snapshot(self) -> EngineStatistics:
        """The counts as they stand."""
        return EngineStatistics(
            seconds=self._clock() - self._began,
            running=self._running,
            waiting=self._waiting,
            kv_use=self._kv_use,
            requests=self.requests,
            updates=self.updates,
            busy_seconds=self._busy_seconds,
            **self._counts,
        )


class Seams:
    """Gaps between the last token of old weights and the first of new ones, seen in the engine's own time stamps."""

    def __init__(self) -> None:
        self._version = ""
        self._last = 0.0
        self._gaps: list[float] = []

    def observe(self, version: str | None, timestamp: float | None, tokens: bool) -> None:
        """One step's outputs, which version made them, and when."""
        if not tokens or version is None or not timestamp:
            return
        if self._version and version != self._version:
            self._gaps.append(timestamp - self._last)
        self._version, self._last = version, timestamp

    def nothing_runs(self) -> None:
        """What the engine does next begins no seam: it was idle."""
        self._version = ""

    def drain(self) -> list[float]:
        """The gaps since the last call, in seconds."""
        gaps, self._gaps = self._gaps, []
        return gaps
