"""The Ray actor around a player. It plays from the moment it is constructed, so that a restart plays on by itself.

      Ray ── construct ──► PlayerActor ── thread: event loop ── Player.run
      run ── ready, statistics, stop ──► methods (Ray's threads) ──► the loop

A life of its own is part of every owner's name: what an earlier life held is given back when the new one says hello.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from actors.logs import log_into, open_log
from actors.players.engines import Engines
from actors.players.generating import Role
from actors.players.judge import Judge, open_pool
from actors.players.player import Player
from actors.players.table import Table
from actors.players.tally import PlayerTally
from actors.players.tokens import load_tokens
from actors.restarts import tried_again
from actors.services.calls import Service
from actors.services.for_players import PlayerExperience, PlayerTasks
from azr.config.root import Config
from azr.game.reasons import clean

Result = TypeVar("Result")

#: How long a method waits for the player's own loop: it never blocks, so this only speaks of a machine at a standstill.
LOOP_SECONDS = 30.0


class Seat(msgspec.Struct, frozen=True, kw_only=True):
    """Which player this is, and whom it talks to."""

    name: str
    role: Role
    lanes: int
    logs: str
    experience: tuple[Service, ...]
    tasks: tuple[Service, ...]


class PlayerReport(msgspec.Struct, kw_only=True):
    """What a player says of itself."""

    name: str
    pid: int
    seconds_up: float
    under_way: int
    done: int
    failures: dict[str, int]
    metrics: bytes
    """An `azr.metrics.Accumulator` of what happened since it was last asked."""
    sandbox_workers: list[int]
    """Process ids."""


class PlayerActor:
    """A proposer or a solver in a process of its own."""

    def __init__(self, seat: Seat, config: Config, engines: Engines, held_out: frozenset[str] = frozenset()) -> None:
        self.seat = seat
        self._began = time.monotonic()
        log_into(seat.logs, seat.name)  # the rollout client says there whom it cannot reach, and why
        self._logger = open_log(seat.logs, seat.name)
        with tried_again(self._logger):
            self._pool = open_pool(config.sandbox, config.actors.sandbox_workers)
            self._tally = PlayerTally(seat.name, seat.role)
            self._engines = engines.of(seat.role)
            table = Table(
                config=config,
                experience=PlayerExperience(seat.experience, seat.name),
                tasks=PlayerTasks(seat.tasks),
                engines=self._engines,
                judge=Judge(self._pool, config.actors.judge_tries),
                tokens=load_tokens(config.model),
                tally=self._tally,
                logger=self._logger,
                held_out=held_out,
            )
            self._loop = asyncio.new_event_loop()
            self._player = Player(table, seat.role, seat.lanes, broken=self._leave)
        self._thread = threading.Thread(target=self._run, name=f"azr-{seat.name}", daemon=True)
        self._thread.start()
        self._logger.info("plays")

    def ready(self) -> int:
        """The process id; answers once the player plays."""
        return os.getpid()

    def statistics(self) -> PlayerReport:
        """What happened since last asked."""
        return self._ask(self._report())

    def stop(self, deadline_seconds: float) -> list[str]:
        """Begin nothing more, finish what is under way, and end; returns the groups given up at the deadline."""
        given_up = self._ask(self._player.stop(deadline_seconds), deadline_seconds)
        self._thread.join(LOOP_SECONDS)
        self._pool.close()
        return given_up

    async def _report(self) -> PlayerReport:
        return PlayerReport(
            name=self.seat.name,
            pid=os.getpid(),
            seconds_up=time.monotonic() - self._began,
            under_way=len(self._player.under_way()),
            done=self._tally.done,
            failures=dict(self._tally.reasons),
            metrics=self._tally.drain(self._pool.statistics(), self._engines.retries).to_bytes(),
            sandbox_workers=self._pool.worker_ids(),
        )

    def _ask(self, what: Coroutine[Any, Any, Result], more_seconds: float = 0.0) -> Result:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(LOOP_SECONDS + more_seconds)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._player.run())
        except BaseException as error:
            self._leave(clean(repr(error)))

    def _leave(self, why: str) -> None:
        """End this process at once: Ray starts another."""
        self._logger.critical("leaves: %s", why)
        logging.shutdown()
        os._exit(1)


class Proposer(PlayerActor):
    """A player that proposes: of its own class, because Ray calls a process by it, for whoever looks at `ps`."""


class Solver(PlayerActor):
    """A player that solves."""


ACTORS: Mapping[Role, type[PlayerActor]] = {"propose": Proposer, "solve": Solver}


def seats(config: Config, logs: str, experience: Sequence[Service], tasks: Sequence[Service]) -> list[Seat]:
    """The players that a configuration asks for: proposers only where proposing is played."""
    actors = config.actors
    proposers = actors.proposers if config.algorithm.game.train_propose else 0
    sat: list[tuple[str, Role, int]] = [
        *((f"proposer-{number}", "propose", actors.proposer_lanes) for number in range(proposers)),
        *((f"solver-{number}", "solve", actors.solver_lanes) for number in range(actors.solvers)),
    ]
    return [
        Seat(name=name, role=role, lanes=lanes, logs=logs, experience=tuple(experience), tasks=tuple(tasks))
        for name, role, lanes in sat
    ]
