"""One replica: an engine that is kept alive, answers requests and follows the registry's orders about weights.

Runs inside a Serve replica's process (`actors.rollout.deployment`), which starts, checks and stops it. What happens
to the engine stays in here as long as it can be mended in here:

    start:     join registry ─► (standby: wait) ─► engine from the fork server ─► newest weights ─► serving
    order:     transport ─► fails: the old weights serve on, the version's file is tried ─► torn twice: a new engine
    engine hangs, or takes no weights three times in a row: it is ended, and dealt with as one that died
    engine dies: requests fail over at once ─► a new engine (imports are done: seconds) ─► newest weights ─► serving
    one too many serves: finish, end the engine, stand by
    three lost in a row, or no engine within `start_seconds`: the process leaves, and Serve starts another

Waits: for the registry (retried for ever, with the state kept), for the engine (`start_seconds`), for an update's
legs (`weights.*_seconds`); each names this replica.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from actors.engine.engine import Engine
from actors.engine.errors import (
    EngineDiedError,
    EngineError,
    EngineStuckError,
    EngineUnmadeError,
    NoEngineError,
    TornWeightsError,
)
from actors.engine.fork_server import warm_up
from actors.engine.leftovers import sweep_transients
from actors.engine.records import EngineStatistics, GenerateRequest, Generation, UpdateTimes
from actors.engine.settings import EngineSettings
from actors.host import host_id
from actors.rollout.asking_registry import POLL_SECONDS, AskedRegistry
from actors.rollout.intake import WeightIntake
from actors.rollout.server import Server
from actors.weights.records import Member, Order, Report, State, Stored
from actors.weights.registry import own_address
from azr.errors import AzrError
from azr.game.types import Version
from azr.held_folders import remove_abandoned_temporary

logger = logging.getLogger(__name__)

#: How often a replica says how it is.
_STATUS_SECONDS = 1.0
#: Updates whose gaps are told.
_GAPS = 64
#: How often a new engine asks for the newest weights, each time they were gone before it had them.
_NEWEST_TRIES = 5
#: Engines that may be lost in a row, dead or replaced, each but the first within a minute, before the process leaves.
_ENGINES_IN_A_ROW = 2
_SETTLED_SECONDS = 60.0
#: Orders in a row that an engine may fail at, its old weights serving on, before it is replaced.
_ORDERS_IN_A_ROW = 3
#: How long the process stays to free what its last engine left.
_BURY_SECONDS = 30.0
#: Exit status of a process that cannot mend its engine. Serve sees it end and starts another.
_EXIT_BROKEN = 70


class ReplicaStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How a replica is, for metrics and people."""

    name: str
    pool: str
    state: State
    version: Version
    checksum: str
    """Of the weights as the engine holds them."""
    engine: EngineStatistics
    gaps: tuple[float, ...] = ()
    """Of the last updates: seconds from the last token of old weights to the first of new ones."""
    why: str = ""


class Replica:
    """The replica's life; made by `Replica.start` on the event loop that serves."""

    def __init__(
        self,
        settings: EngineSettings,
        registry_name: str,
        *,
        name: str,
        pool: str,
        orphaned: Callable[[], None],
    ) -> None:
        self.settings = settings
        self.name = name
        self.leave: Callable[[int], None] = os._exit
        """How the process leaves when the engine cannot be mended."""
        self._registry = AskedRegistry(registry_name, name=name, orphaned=orphaned)
        self._intake = WeightIntake(name, self._registry)
        self._engine: Engine | None = None
        self._server: Server | None = None
        self._member = Member(
            name=name,
            pool=pool,
            host=host_id(),
            address=own_address(),
            token=secrets.token_hex(16),
            pid=os.getpid(),
            workers=settings.rollout_config.tensor_parallel,
        )
        self._loop = asyncio.get_running_loop()
        self._loaded = ""
        self._made: UpdateTimes | None = None
        """What the engine's first weights cost."""
        self._renewed_by = 0
        """Number of the last order on which an engine was replaced."""
        self._failures = 0
        self._orders_failed = 0
        self._healing = False
        self._stood_at = 0.0
        self._tasks: list[asyncio.Task[Any]] = []
        self._gaps: deque[float] = deque(maxlen=_GAPS)
        self._unreported: list[float] = []
        """Gaps that no report about weights has told."""

    @classmethod
    async def start(
        cls,
        settings: EngineSettings,
        registry_name: str,
        *,
        name: str,
        pool: str = "shared",
        orphaned: Callable[[], None] = lambda: None,
    ) -> Replica:
        """Join the registry; the answer comes when the replica serves, or stands by. `orphaned` is called when the run
        is gone without having said so."""
        replica = cls(settings, registry_name, name=name, pool=pool, orphaned=orphaned)
        member = replica._member
        # Listening first: the registry sees by the connection's end when this process dies, at whatever it is then.
        replica._server = await Server.start(
            replica._generate,
            token=member.token,
            limit=settings.rollout_config.max_requests,
            address=member.address,
        )
        replica._server.refusing = "it has no engine yet"
        joined = await replica._registry.ask("join", msgspec.structs.replace(member, port=replica._server.port))
        replica._member = joined
        os.environ.update(settings.environment())
        await asyncio.to_thread(sweep_transients)
        await asyncio.to_thread(remove_abandoned_temporary)  # of replicas that were ended here, on a node without a run
        await asyncio.to_thread(warm_up)
        replica._spawn(replica._tell_status())
        if joined.state == "standby":
            replica._spawn(replica._stand_by())
        else:
            await replica._make_engine()
        return replica

    # --- asked from outside -----------------------------------------------------------------------------------------

    async def check(self) -> None:
        """Serve's question whether it is well. A replica that mends its engine is: it would take longer elsewhere."""
        engine = self._engine
        if engine is not None and self._member.state == "serving" and not self._healing:
            try:
                await engine.check()
            except EngineStuckError as stuck:
                self._spawn(self._renew(engine, str(stuck)))
        for task in self._tasks:
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                raise RuntimeError(f"{self.name}: a background task failed: {error}") from error

    def status(self) -> ReplicaStatus:
        """How it is."""
        engine = self._engine
        self._see_gaps(engine)
        return ReplicaStatus(
            name=self.name,
            pool=self._member.pool,
            state=self._member.state,
            version=self._member.version,
            checksum=self._loaded,
            engine=engine.statistics() if engine else EngineStatistics(),
            gaps=tuple(self._gaps),
            why=self._member.why,
        )

    def _see_gaps(self, engine: Engine | None) -> None:
        gaps = engine.seams() if engine else []
        self._gaps.extend(gaps)
        self._unreported.extend(gaps)

    async def stop(self) -> None:
        """Finish what is being sampled, tell the registry, end the engine."""
        if self._server is not None:
            self._server.refusing = "it is being taken away"
            with contextlib.suppress(Exception):
                await asyncio.wait_for(self._tell(state="leaving"), POLL_SECONDS)
            left = await self._server.drain(self.settings.rollout_config.drain_seconds)
            if left:
                logger.warning("%s leaves %d requests unanswered", self.name, left)
        for task in self._tasks:
            task.cancel()
        with contextlib.suppress(Exception):
            await self._registry.tell_once("leave", self.name)
        if self._server is not None:
            await self._server.close()
        if self._engine is not None:
            await self._engine.close()

    # --- the engine's life ------------------------------------------------------------------------------------------

    async def _generate(self, request: GenerateRequest) -> Generation:
        if self._engine is None:
            raise NoEngineError(f"{self.name} has no engine now")
        return await self._engine.generate(request)

    async def _stand_by(self) -> None:
        """Wait, with imports done, until a replica is lost and this one is told to take its place."""
        while True:
            member: Member | None = await self._registry.ask("await_role", self.name, POLL_SECONDS)
            if member is None:
                member = await self._registry.ask("join", self._member)
            if member.state == "starting":
                break
        logger.warning("%s takes a lost replica's place", self.name)
        self._member = msgspec.structs.replace(member, port=self._server.port if self._server else 0)
        await self._make_engine()

    async def _make_engine(self) -> None:
        """Start an engine, give it the newest weights, serve. Leaves the process if that fails."""
        try:
            engine, times = await self._start_engine()
        except EngineDiedError as error:
            logger.error("%s while it was being made; another is tried", error)
            try:
                engine, times = await self._start_engine()
            except Exception as again:
                await self._no_engine(again)
                return
        except Exception as error:
            await self._no_engine(error)
            return
        self._engine = engine
        engine.on_death = lambda why: self._on_engine_death(engine, why)
        if engine.died:  # between its last answer and here
            self._spawn(self._replace_engine(engine, engine.died))
            return
        self._stood_at = time.monotonic()
        self._orders_failed = 0
        self._made, self._loaded = times, times.loaded if times else ""
        if self._server is not None:
            self._server.refusing = ""
            await self._tell(
                state="serving",
                port=self._server.port,
                version=engine.version,
                engine_pids=tuple(engine.pids),
                rings=tuple(engine.rings),
                why="",
            )
        self._spawn(self._follow(engine))

    async def _start_engine(self) -> tuple[Engine, UpdateTimes | None]:
        """An engine with the newest weights."""
        limit = self.settings.rollout_config.start_seconds
        try:
            async with asyncio.timeout(limit):
                engine = await Engine.start(self.settings, name=self.name)
                try:
                    return engine, await self._newest_into(engine)
                except BaseException:
                    await engine.end()
                    raise
        except TimeoutError:
            raise EngineError(f"it did not stand within {limit:g} s") from None

    async def _newest_into(self, engine: Engine) -> UpdateTimes | None:
        """The newest weights into a new engine. Asked for now, not before it stood; and again, should they be replaced
        by newer ones meanwhile."""
        for _ in range(_NEWEST_TRIES):
            stored: Stored | None = await self._registry.ask("newest")
            if stored is None:
                return None
            try:
                return await self._intake.pull(engine, stored)
            except (EngineDiedError, EngineStuckError, TornWeightsError):
                raise
            except EngineError as error:
                logger.warning("%s; asked for anew", error)
        raise EngineError("the newest weights could not be had")

    def _on_engine_death(self, engine: Engine, why: str) -> None:
        """Called from the engine's watching thread."""
        self._loop.call_soon_threadsafe(lambda: self._spawn(self._replace_engine(engine, why)))

    async def _replace_engine(self, dead: Engine, why: str) -> None:
        """The engine died, or was ended: send callers elsewhere and make another. Once for each engine."""
        if dead is not self._engine or self._member.state == "leaving":
            return
        self._engine = None
        logger.error("%s", why)
        if self._server is not None:
            self._server.refusing = why
        recent = time.monotonic() - self._stood_at < _SETTLED_SECONDS
        self._failures = self._failures + 1 if recent else 1
        if self._failures > _ENGINES_IN_A_ROW:
            # Nobody on another machine than the registry's frees it later.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._bury(dead), _BURY_SECONDS)
            await self._give_up(
                f"{self.name}: {self._failures} engines in a row died or were replaced, all but the first within"
                f" {_SETTLED_SECONDS:g} s; the last: {why.removeprefix(f'{self.name}: ')}"
            )
            return
        await self._tell(state="starting", engine_pids=(), rings=(), why=why)
        self._spawn(self._bury(dead))
        if self._member.state == "standby":  # it had been given up, and another has its place
            self._spawn(self._stand_by())
            return
        await self._make_engine()

    async def _bury(self, dead: Engine) -> None:
        """Free what a dead engine left. What cannot be freed costs room and nothing else: a task that failed would have
        Serve replace the replica, and the next engine with it."""
        try:
            await asyncio.to_thread(dead.bury)
        except Exception as error:
            logger.warning("%s: what its last engine left cannot be freed: %s", self.name, error)

    async def _retire(self, engine: Engine) -> None:
        """More serve than are wanted: finish what is being sampled, end the engine, stand by."""
        logger.warning("%s is one too many and stands by", self.name)
        if self._server is not None:
            self._server.refusing = "it stands by"
            await self._server.drain(self.settings.rollout_config.drain_seconds)
        if engine is not self._engine:  # it died meanwhile, and another is being made in its place
            return
        self._engine = None
        await engine.close()
        await self._tell(state="standby", engine_pids=(), rings=())
        self._spawn(self._stand_by())

    async def _no_engine(self, error: Exception) -> None:
        said = f"{error.what}; {error.mend}" if isinstance(error, AzrError) else str(error)
        why = f"{self.name}: no engine: {said.removeprefix(f'{self.name}: ')}"
        await self._give_up(why, unmade=isinstance(error, EngineUnmadeError | AzrError))

    async def _give_up(self, why: str, *, unmade: bool = False) -> None:
        logger.critical("%s; the process leaves", why)
        with contextlib.suppress(Exception):
            await self._registry.tell_once("leave", self.name, why, unmade)
        self.leave(_EXIT_BROKEN)

    # --- weights ----------------------------------------------------------------------------------------------------

    async def _follow(self, engine: Engine) -> None:
        """Carry out the registry's orders for as long as this engine lives."""
        done = 0
        while engine is self._engine:
            state, order = await self._registry.ask("next_order", self.name, done, POLL_SECONDS)
            if engine is not self._engine or self._member.state == "leaving":
                return
            if state == "lost":
                self._member = await self._registry.ask("join", self._member)
            if state == "standby":
                await self._retire(engine)
                return
            if order is not None:
                done = order.number
                report = await self._carry_out(engine, order)
                if report is not None:
                    if report.times is not None:  # a report of less than an update goes to nobody who counts
                        self._see_gaps(engine)
                        report = msgspec.structs.replace(report, gaps=tuple(self._unreported))
                        self._unreported.clear()
                    self._member = msgspec.structs.replace(self._member, version=report.version)
                    await self._registry.ask("report", report)

    async def _carry_out(self, engine: Engine, order: Order) -> Report | None:
        """What became of an order; None for one that asks nothing of this engine."""
        if order.action == "again":
            return await self._again(engine, order)
        if order.action != "native_init" and engine.version >= order.version and not engine.torn:
            # An engine that was made after the version was stored has it already, and so has one that got it by a
            # broadcast that broke for others. Of a newer version nothing could be compared.
            loaded = self._loaded if engine.version == order.version else ""
            return Report(name=self.name, number=order.number, version=engine.version, transport="none", loaded=loaded)
        error, times = "", None
        transport: str = order.action
        try:
            times, transport, error = await self._intake.by_transport(engine, order)
        except EngineDiedError:
            return None  # its successor loads the newest by itself
        except EngineError as failed:
            error = str(failed)
            times = await self._mend(engine, failed)
            if times is not None:  # or nobody would hear of it: it counts as confirmed
                logger.warning("%s; healed by the version's file", error)
        else:
            self._orders_failed = 0
        if times is not None and times.loaded:
            self._loaded = times.loaded
        return Report(
            name=self.name, number=order.number, version=engine.version, error=error, times=times, transport=transport
        )

    async def _mend(self, engine: Engine, failed: EngineError) -> UpdateTimes | None:
        """What is done about an engine that failed at an order; what it cost where it has whole new weights now."""
        if engine.stuck:
            self._spawn(self._renew(engine, engine.stuck))
        elif isinstance(failed, TornWeightsError):
            return await self._heal(engine)
        else:
            self._orders_failed += 1
            if self._orders_failed >= _ORDERS_IN_A_ROW:
                why = f"{self.name}: it took no weights {self._orders_failed} times in a row, the last time: {failed}"
                self._spawn(self._renew(engine, why))
        return None

    async def _again(self, engine: Engine, order: Order) -> Report | None:
        """Its weights are not those of the others: take the file once more, or get a new engine. One that is not meant
        but came while the order stood, and has an older version, takes it now: it was given no other order for it."""
        own = order.details.get(self.name)
        report = Report(name=self.name, number=order.number, version=engine.version, transport="none")
        if own is None and engine.version >= order.version:
            return report
        if own is not None and own.get("renew"):
            if order.number == self._renewed_by:  # the order still stands, and this is the engine made on it
                return msgspec.structs.replace(report, times=self._made, transport="file")
            self._renewed_by = order.number
            self._spawn(self._renew(engine, f"{self.name}: its weights are not those of the others"))
            return None
        try:
            times = await self._intake.pull(engine, await self._intake.stored(order.version))
        except EngineDiedError:
            return None
        except EngineError as error:
            healed = await self._mend(engine, error)
            return msgspec.structs.replace(report, error=str(error), times=healed, version=engine.version)
        self._orders_failed = 0
        self._loaded = times.loaded
        return msgspec.structs.replace(report, times=times, version=engine.version, transport="file")

    async def _renew(self, engine: Engine, why: str) -> None:
        """A new engine in place of one that lives."""
        if engine is self._engine and not self._healing:  # which happens already, or comes to this in the end
            self._healing = True  # it takes seconds, in which Serve would find a closed engine
            if self._server is not None:
                self._server.refusing = why  # or what is asked meanwhile would count as died with the engine
            try:
                await engine.close()
            finally:
                self._healing = False
            await self._replace_engine(engine, why)

    async def _heal(self, engine: Engine) -> UpdateTimes | None:
        """Put whole weights into an engine whose update was torn; if that fails too it gets a new engine."""
        why = engine.torn or f"{self.name}: its weights could not be made whole"
        self._healing = True
        if self._server is not None and not self._server.refusing:
            self._server.refusing = why  # or what is asked meanwhile would wait in an engine that stands still
        try:
            with contextlib.suppress(EngineError):
                newest: Stored | None = await self._registry.ask("newest")
                if newest is not None:
                    times = await self._intake.pull(engine, newest)
                    if self._server is not None and self._server.refusing == why:
                        self._server.refusing = ""
                    return times
        finally:
            self._healing = False
        if not engine.died:  # whose death is being dealt with already
            self._spawn(self._renew(engine, engine.torn or why))
        return None

    # --- inside -----------------------------------------------------------------------------------------------------

    async def _tell(self, **changes: Any) -> None:
        """Tell the registry what changed about this replica."""
        self._member = msgspec.structs.replace(self._member, **changes)
        if not await self._registry.ask("update", self._member):
            self._member = await self._registry.ask("join", self._member)

    async def _tell_status(self) -> None:
        """Say how it is, over and over; nobody waits for it, so a registry that is away misses some."""
        while True:
            with contextlib.suppress(Exception):
                await self._registry.tell_once("tell_status", self.name, msgspec.msgpack.encode(self.status()))
            await asyncio.sleep(_STATUS_SECONDS)

    def _spawn(self, work: Any) -> None:
        self._tasks = [task for task in self._tasks if not task.done() or task.exception() is not None]
        self._tasks.append(asyncio.ensure_future(work))
