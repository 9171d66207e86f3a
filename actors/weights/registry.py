"""The registry: an actor that owns the newest weights and knows which replicas serve, with which version.

Made by the run (`start_registry`), asked by replicas (what to load, what to do), by clients (where to send requests)
and by the learner's publisher. It outlives the learner: weights lie in files of its own, in memory (/dev/shm) or in a
folder. It is restarted when it dies, finds its files again, and replicas join it anew; meanwhile they serve on.

    publisher ── store, give order ──►  registry  ◄── join, next_order, report ── replicas
    clients   ── watch members ──────►   Book     ── an open connection each ───► replicas (its end: lost, at once)

Every waiting call ends after the seconds it was given; the caller asks again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Callable, Collection, Coroutine
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from actors.engine.leftovers import sweep
from actors.host import host_id
from actors.keepalive import keep_alive
from actors.logs import log_into
from actors.restarts import tried_again
from actors.weights.book import Book
from actors.weights.folders import (
    WANTED,
    in_memory,
    no_room,
    remove_abandoned_versions,
    remove_others,
    remove_versions,
    require_room,
)
from actors.weights.records import Member, Order, Report, Stored
from actors.weights.transports.files import NOTE, file_name, version_of
from azr.files import write_bytes
from azr.game.types import Version
from azr.held_folders import LOCK, QUIET_SECONDS, hold

logger = logging.getLogger(__name__)

NAMESPACE = "azr"

#: From a change of how many are wanted until those too many are told to stand by.
_SETTLE_SECONDS = 3.0

#: From a standby's coming until it may take the place of one that has not come. A replica that takes weights asks the
#: registry nothing meanwhile, and does not know that it is a new one.
_FILL_SECONDS = 20.0

#: From a replica's death until what it left is removed: its engine looks twice a second whether it is still there.
_SWEEP_SECONDS = 3.0

#: Who may be waiting in one call at a time: every replica, client and publisher has one or two open.
_CONCURRENCY = 4096

#: Until the registry looks a second time for what dead runs left: only then has it lain still for long enough where a
#: run was killed just before this one began.
_TIDY_SECONDS = QUIET_SECONDS + 60.0

#: How long opening the connection that tells of a replica's end may take.
_CONNECT_SECONDS = 10.0


class Registry:
    """The actor's class; `start_registry` makes the actor."""

    def __init__(
        self,
        folder: str,
        keep: int,
        pools: dict[str, int],
        logs: str = "",
        put: Callable[[npt.NDArray[np.uint8]], Any] | None = None,
    ) -> None:
        log_into(logs, "weights")
        self._put = put or _into_object_store
        self._shared: tuple[Stored, asyncio.Task[Any]] | None = None
        self._folder = Path(folder)
        self._book = Book(keep=keep)
        self._pools = pools
        self._book.wanted = dict(pools)
        self._changed = asyncio.Condition()
        self._watchers: dict[str, asyncio.Task[None]] = {}
        self._statuses: dict[str, bytes] = {}
        self._background: set[asyncio.Task[None]] = set()
        with tried_again(logger):
            self._held = hold(self._folder)
            self._load()

    async def begin_publishing(self) -> tuple[str, str]:
        """A publisher begins: on which machine, and in which folder, versions lie. The one before it is dead, and what
        it left half written, or never told of, goes."""
        self._remove_others({name for stored in self._book.versions.values() for name in _names(stored)})
        return host_id(), str(self._folder)

    # --- versions -------------------------------------------------------------------------------------------------

    async def adopt(self, stored: Stored) -> None:
        """Own a version whose file its publisher has put into the registry's folder."""
        write_bytes(Path(stored.path + NOTE), msgspec.json.encode(stored))
        gone = self._book.store(stored)
        self._shared = None
        await self._tell()
        _remove(gone)

    async def make_way(self, size: int) -> None:
        """A version of so many bytes comes from another machine next.

        The object store gives no page back that it once used: let the bytes of the version before go first, so that it
        does not hold two. (Who still fetches those holds a reference.) Shared memory has to hold the versions kept, the
        one that is written, and from the first version on one on its way.
        """
        self._shared = None
        first = not self._book.versions and in_memory(self._folder)
        require_room(self._folder, size, self._book.keep, travelling=int(first))

    async def accept(self, version: Version, content: npt.NDArray[np.uint8], checksum: str) -> None:
        """Own a version that comes as the bytes of its file, from another machine."""
        path = self._folder / file_name(version)
        try:
            await asyncio.to_thread(write_bytes, path, content.tobytes())
        except OSError as error:
            raise no_room(self._folder, content.nbytes, str(error)) from error
        await self.adopt(Stored(version=version, path=str(path), checksum=checksum, size=content.nbytes))

    async def forget_all(self) -> None:
        """Begin anew: what lies in the folder is of a run before this one, whose driver had the same process id; and
        beside it may lie what other runs left."""
        self._remove_others(())
        (self._folder / WANTED).unlink(missing_ok=True)
        self._book.begin_anew(self._pools)
        await self._tell()
        self._spawn(self._tidy())

    async def clear(self) -> None:
        """The end: remove the folder and all that the registry keeps there, on whatever machine that is."""
        await asyncio.to_thread(remove_versions, self._folder)

    async def newest(self) -> Stored | None:
        """The newest version, if any was published."""
        return self._book.newest

    async def pull(self, version: Version) -> list[Any]:
        """A reference to the bytes of a version's file, for a replica on a machine that does not see it.

        One reference for all who ask, until the next version comes: the bytes lie in the object store once on this
        machine and once on each that asks, however many replicas it has. In a list, or Ray would hand on the bytes.
        """
        stored = self._book.versions.get(version)
        if stored is None:
            raise KeyError(f"version {version.lineage}.{version.step} is kept no longer")
        if self._shared is None or self._shared[0] is not stored:
            self._shared = stored, asyncio.create_task(asyncio.to_thread(self._share, stored.path))
        sharing = self._shared[1]
        try:
            return [await asyncio.shield(sharing)]
        except BaseException:
            if sharing.done() and self._shared is not None and self._shared[1] is sharing:
                self._shared = None  # whoever asks next tries anew
            raise

    def _share(self, path: str) -> Any:
        return self._put(np.fromfile(path, np.uint8))

    # --- members --------------------------------------------------------------------------------------------------

    async def want(self, pool: str, count: int) -> None:
        """So many replicas of a pool should serve; standbys beyond them wait."""
        self._book.want(pool, count)
        write_bytes(self._folder / WANTED, msgspec.json.encode(self._book.wanted))
        await self._tell()
        self._settle_later(pool)

    async def join(self, member: Member) -> Member:
        """A replica is here; the answer says what it is to be: `starting` (make the engine) or `standby`."""
        joined = self._book.join(member)
        await self._tell()
        self._watch(joined)
        self._settle_later(member.pool)
        if joined.state == "standby":
            self._fill_later(member.pool)
        return joined

    async def update(self, member: Member) -> bool:
        """How a replica is; False: it must join again."""
        known = self._book.update(member)
        if known:
            self._watch(member)
            await self._tell()
            if member.state == "serving":
                self._settle_later(member.pool)
        return known

    async def leave(self, name: str, why: str = "", unmade: bool = False) -> None:
        """A replica goes; `why`: it was not told to, but gives up or is given up; `unmade`: because no engine could be
        made."""
        member = self._book.members.get(name)
        if member is not None and why:
            self._spawn(self._sweep_after(member))  # what still lives keeps what it has
        self._book.leave(name, why, unmade=unmade)
        self._statuses.pop(name, None)
        await self._tell()
        if watcher := self._watchers.pop(name, None):
            watcher.cancel()

    async def members(self, pool: str = "") -> list[Member]:
        """All replicas, or those of one pool."""
        return list(self._book.of(pool) if pool else self._book.members.values())

    async def lost(self) -> list[Member]:
        """Replicas that died lately, each with the reason."""
        return list(self._book.lost.values())

    async def tell_status(self, name: str, status: bytes) -> None:
        """How a replica is, in its own words (`actors.rollout.replica.ReplicaStatus`)."""
        self._statuses[name] = status

    async def statuses(self) -> list[bytes]:
        """What replicas that are there said last of how they are; every second they say it again."""
        return [status for name, status in self._statuses.items() if name in self._book.members]

    async def watch_members(self, pool: str, after: int, seconds: float) -> tuple[int, list[Member]]:
        """The replicas of a pool once anything changed after `after`, or when the time is up."""
        await self._until(lambda: self._book.sequence > after, seconds)
        return self._book.sequence, list(self._book.of(pool))

    async def await_role(self, name: str, seconds: float) -> Member | None:
        """A standby's question: the answer comes when it is to make its engine, or when the time is up."""
        await self._until(lambda: self._state(name) != "standby", seconds)
        return self._book.members.get(name)

    # --- orders ---------------------------------------------------------------------------------------------------

    async def give(self, order: Order) -> int:
        """Give all replicas an order; its number."""
        number = self._book.give(order).number
        await self._tell()
        return number

    async def next_order(self, name: str, after: int, seconds: float) -> tuple[str, Order | None]:
        """The order that stands if it is newer than `after`; and what the registry takes the replica for. One that it
        calls `lost` must join again, one that it calls `standby` is to give up its engine."""
        if after > self._book.numbered:  # a clock was set back since its replica heard of an order
            self._book.number_from(after)
            await self._tell()
        await self._until(lambda: self._newer(after) is not None or self._state(name) in ("lost", "standby"), seconds)
        return self._state(name), self._newer(after)

    async def report(self, report: Report) -> None:
        """What became of an order at a replica."""
        self._book.report(report)
        await self._tell()

    async def outcome(self, number: int, expected: list[str], seconds: float) -> tuple[bool, list[Report], list[str]]:
        """Whether the order stands, reports on it, and who still owes one: when nobody does, or the time is up."""
        await self._until(lambda: not self._book.outstanding(number, expected), seconds)
        owing = list(self._book.outstanding(number, expected))
        return self._book.stands(number), list(self._book.reports.values()), owing

    async def replaced(self) -> int:
        """Replicas lost so far."""
        return self._book.replaced

    # --- inside ---------------------------------------------------------------------------------------------------

    def _newer(self, after: int) -> Order | None:
        order = self._book.order
        return order if order is not None and order.number > after else None

    def _state(self, name: str) -> str:
        member = self._book.members.get(name)
        return member.state if member else "lost"

    async def _until(self, condition: Callable[[], bool], seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds), self._changed:
                await self._changed.wait_for(condition)

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _settle_later(self, pool: str) -> None:
        """When too many serve: some stand by, but not before Serve has had its say about which replicas go."""

        async def settle() -> None:
            await asyncio.sleep(_SETTLE_SECONDS)
            self._book.settle(pool)
            await self._tell()

        self._spawn(settle())

    def _fill_later(self, pool: str) -> None:
        """When too few serve: standbys take their places. Those that serve may have died with the registry before this
        one, and then nobody hears of their end; but they are to have the time to join it first."""

        async def fill() -> None:
            await asyncio.sleep(_FILL_SECONDS)
            self._book.fill(pool)
            await self._tell()

        self._spawn(fill())

    def _remove_others(self, kept: Collection[str]) -> None:
        """What cannot be removed is told, and costs room and nothing else."""
        try:
            if not (self._folder / LOCK).exists():  # somebody removed the folder, and the lock with it
                self._held.close()
                self._held = hold(self._folder)
            remove_others(self._folder, kept)
        except OSError as error:
            logger.warning("cannot tidy %s up: %s", self._folder, error)

    async def _tidy(self) -> None:
        for pause in (0.0, _TIDY_SECONDS):
            await asyncio.sleep(pause)
            if removed := await asyncio.to_thread(remove_abandoned_versions, self._folder.parent):
                logger.info("versions that other runs left were removed: %s", ", ".join(map(str, removed)))

    async def _sweep_after(self, member: Member) -> None:
        """Remove what a killed replica on this machine left, once its engine has followed it."""
        if member.host != host_id():
            return
        await asyncio.sleep(_SWEEP_SECONDS)
        removed = await asyncio.to_thread(sweep, (member.pid, *member.engine_pids), member.rings)
        if removed:
            logger.info("what %s left was removed: %s", member.name, ", ".join(removed))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def _watch(self, member: Member) -> None:
        """Hold a connection to the replica: its process's end is the connection's, at once and whatever killed it; its
        machine's end is too, within half a minute."""
        if member.port and member.name not in self._watchers:
            self._watchers[member.name] = asyncio.create_task(self._watch_connection(member))

    async def _watch_connection(self, member: Member) -> None:
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                reader, writer = await asyncio.open_connection(member.address, member.port)
            try:
                keep_alive(writer)
                while await reader.read(1 << 16):
                    pass
            finally:
                writer.close()
            why = "its process ended"
        except OSError as error:
            why = f"it could not be reached: {error}"
        self._watchers.pop(member.name, None)
        self._spawn(self._sweep_after(self._book.members.get(member.name, member)))
        logger.warning("replica %s is lost: %s", member.name, why)
        self._book.leave(member.name, why)
        await self._tell()

    def _load(self) -> None:
        """Find the versions that a registry before this one kept."""
        for path in self._folder.iterdir():
            note = Path(f"{path}{NOTE}")
            if version_of(path) is not None and note.exists():
                _remove(self._book.store(msgspec.json.decode(note.read_bytes(), type=Stored)))
        wanted = self._folder / WANTED
        if wanted.exists():
            self._book.wanted |= msgspec.json.decode(wanted.read_bytes(), type=dict[str, int])
        # Numbers of orders must not begin again below those that replicas have seen.
        self._book.numbered = int(time.time() * 1000)
        if (newest := self._book.newest) is not None:
            # What the one before was in the middle of handing on is handed on.
            self._book.give(Order(number=0, action="file", version=newest.version, checksum=newest.checksum))


def _into_object_store(content: npt.NDArray[np.uint8]) -> Any:
    import ray

    return ray.put(content)


def _names(stored: Stored) -> tuple[str, str]:
    """The files of a version."""
    name = Path(stored.path).name
    return name, name + NOTE


def _remove(gone: list[Stored]) -> None:
    for old in gone:
        for name in _names(old):
            Path(old.path).with_name(name).unlink(missing_ok=True)


def start_registry(name: str, folder: Path, *, keep: int, pools: dict[str, int], logs: str = "") -> Any:
    """The registry as a named actor of Ray's namespace `azr`, on the node of whoever starts it: restarted elsewhere it
    would find no version in its folder. `pools` says how many replicas of each should serve."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return (
        ray.remote(Registry)
        .options(
            name=name,
            namespace=NAMESPACE,
            num_cpus=0,
            scheduling_strategy=here,
            max_restarts=-1,
            max_task_retries=0,
            max_concurrency=_CONCURRENCY,
            get_if_exists=True,
        )
        .remote(str(folder), keep, pools, logs)
    )


def find_registry(name: str) -> Any:
    """The registry of that name."""
    import ray

    return ray.get_actor(name, namespace=NAMESPACE)


def own_address() -> str:
    """An address of this machine that others reach: the one that its Ray node has, else the one that routes choose;
    loopback where there is no network."""
    import ray

    if ray.is_initialized():
        return str(ray.util.get_node_ip_address())
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("10.255.255.255", 1))  # nothing is sent: the kernel only picks the route
        return str(probe.getsockname()[0])
    return "127.0.0.1"
