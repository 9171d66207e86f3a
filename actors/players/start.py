"""Starts and ends the players of a run as Ray actors, and gathers what they say of themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError

from actors.players.actor import ACTORS, PlayerReport, seats
from actors.players.engines import Engines
from actors.services.ready import until_ready
from actors.services.start import Services
from azr.config.root import Config
from azr.errors import AzrError
from azr.metrics.accumulator import Accumulator

#: Methods that run at once in a player's process, besides its own loop: a long `stop` must not keep `statistics` out.
CONCURRENCY = 4


def start(
    config: Config,
    services: Services,
    engines: Engines,
    folder: Path,
    *,
    held_out: frozenset[str] = frozenset(),
    options: Mapping[str, Any] | None = None,
    remaining: Callable[[], float] | None = None,
    now: Callable[[str], None] = lambda _what: None,
) -> dict[str, Any]:
    """Start all players and wait until they play. Returns their handles by name; they end with the driver.

    `engines` travels to them, and makes each its client: `Replicas` of the rollout deployment. Programs of the normal
    forms `held_out` are refused as proposals. `options` go to Ray for every actor. `remaining` raises when nothing is
    to be waited for any more, else `cluster.start_seconds` are; `now` hears what is.
    """
    handles: dict[str, Any] = {}
    for seat in seats(config, str(folder / "logs"), services.experience.shards, services.tasks.shards):
        asked = {"num_cpus": 0, **(options or {})}
        name = f"azr-{config.run.name}-{seat.name}"
        handles[name] = (
            ray.remote(ACTORS[seat.role])
            .options(name=name, max_restarts=-1, max_task_retries=0, max_concurrency=CONCURRENCY, **asked)
            .remote(seat, config, engines, held_out)
        )
    until_ready(
        handles,
        config.cluster.start_seconds,
        remaining=remaining,
        now=lambda missing: now(f"{missing} to open the sandbox"),
    )
    return handles


def stop(handles: Mapping[str, Any], deadline_seconds: float) -> list[str]:
    """Let players finish what is under way, then end them; returns the groups that were given up."""
    asked = {handle.stop.remote(deadline_seconds): name for name, handle in handles.items()}
    ended, _ = ray.wait(list(asked), num_returns=len(asked), timeout=deadline_seconds + 10.0)
    given_up: list[str] = []
    for reference in ended:
        try:
            given_up += ray.get(reference)
        except RayError:
            continue  # it died; what it held is given out again
    for handle in handles.values():
        ray.kill(handle)
    return given_up


class Reports:
    """What players say of themselves, asked again and again. An answer hands over what was counted since the last one:
    of a player on a busy machine it is waited for in the next round, and not asked for twice."""

    def __init__(self, handles: Mapping[str, Any]) -> None:
        self._handles = handles
        self._asked: dict[Any, str] = {}

    def __call__(self, deadline_seconds: float = 5.0) -> dict[str, PlayerReport]:
        """By name; those left out that do not answer in time (they are being restarted)."""
        owing = set(self._asked.values())
        self._asked |= {handle.statistics.remote(): name for name, handle in self._handles.items() if name not in owing}
        if not self._asked:
            return {}
        answered, _ = ray.wait(list(self._asked), num_returns=len(self._asked), timeout=deadline_seconds)
        found: dict[str, PlayerReport] = {}
        for reference in answered:
            name = self._asked.pop(reference)
            try:
                found[name] = ray.get(reference)
            except (RayError, AzrError):
                continue
        return found


def metrics(found: Mapping[str, PlayerReport]) -> dict[str, Accumulator]:
    """The accumulators of the players that answered, by name."""
    return {name: Accumulator.from_bytes(report.metrics) for name, report in found.items()}
