"""What the shards of both services have in common: a folder, a journal in it, the thread that owns the state.

A shard is a Ray actor that Ray restarts when it dies. Everything it knows is in its folder, so the restarted process
opens the journal and goes on; its callers ask again (`actors.services.calls`).

      Ray ── restart ──► Host ── lock the folder ── open the journal ── StateThread ──► answers
                                  └── one process a folder, waited for `LOCK_SECONDS`

Who waits: a restarted shard for the process before it to be gone.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import secrets
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import IO, TypeVar

import msgspec

from actors.logs import open_log
from actors.restarts import is_restarted
from actors.services.records import ProcessReport
from actors.services.state_thread import StateThread
from azr.errors import AzrError
from azr.files import make_folder
from azr.journal.journal import Journal, JournalDamagedError, JournalError, SyncPolicy
from azr.journal.storage import Folder
from azr.ledger.ledger import BooksBrokenError
from azr.locks import locked

Result = TypeVar("Result")

#: How long a shard waits for the process that held its folder before it.
LOCK_SECONDS = 30.0

#: How often the thread looks for leases that ran out when nobody calls.
TICK_SECONDS = 0.25

#: Between two looks at how late the event loop is.
LAG_SECONDS = 0.05


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a shard lives, and how it keeps its journal."""

    name: str
    """Of the shard, such as `experience-0`."""
    folder: str
    """Of the journal."""
    logs: str
    """Folder of log files; empty: none is written."""
    sync: SyncPolicy = "commit"
    sync_seconds: float = 1.0
    shorten_bytes: int = 256 << 20


class Host:
    """A shard's process: owns its folder, its journal and the thread of its state."""

    def __init__(self, place: Place, *, broken: Callable[[BaseException], None] | None = None) -> None:
        self.place = place
        self.logger = open_log(place.logs, place.name)
        self._lock = _locked(Path(place.folder))
        # `commit` is kept here, by one sync for all calls of a round, and not by the journal for each append.
        policy: SyncPolicy = "never" if place.sync == "commit" else place.sync
        self.journal = Journal(
            Folder(Path(place.folder)),
            draw_marker=lambda: secrets.token_bytes(8),
            clock=time.monotonic,
            policy=policy,
            sync_seconds=place.sync_seconds,
        )
        self._broken = broken or _leave
        self._loop: asyncio.AbstractEventLoop | None = None
        self._woken: dict[str, asyncio.Event] = {}
        """What those wait for who wait, by topic."""
        self._news: set[str] = set()
        self._lag = 0.0
        self._watch: asyncio.Task[None] | None = None
        self._thread: StateThread | None = None
        self.began = time.monotonic()

    def read(self, opening: Callable[[], Result]) -> Result:
        """Read the journal back. What keeps it from that is in the log, and told to whoever waits for this actor: Ray
        makes no other in its place."""
        try:
            return opening()
        except JournalDamagedError as error:
            self.logger.critical("%s", error.what)
            raise AzrError(
                error.what,
                f"move {self.place.folder} away, such as to {self.place.folder}.damaged, and resume: what it held is "
                "taken up from the newest checkpoint's snapshots (checkpoint.snapshot); without any checkpoint the run "
                "begins anew",
            ) from error
        except Exception as error:
            self.logger.critical("%s cannot be read back: %r", self.place.folder, error)
            raise

    def open(self, tick: Callable[[], None]) -> None:
        """Begin to answer; the journal is open by now."""
        self._thread = StateThread(
            self.place.name,
            flush=self._flush,
            tick=functools.partial(self._tick, tick),
            tick_seconds=TICK_SECONDS,
            changed=self._changed,
            broken=self._end,
            fatal=(BooksBrokenError,),
        )

    @property
    def thread(self) -> StateThread:
        """The thread of the state."""
        if self._thread is None:
            raise RuntimeError(f"{self.place.name} is asked before it is open")
        return self._thread

    def shorten(self, act: Callable[[], bool]) -> None:
        """Shorten the journal. Where there is no room for that it stays as it was, and whoever called need not know."""
        try:
            act()
        except JournalError as error:
            self.logger.warning("the journal could not be shortened: %s", error)

    async def act(self, act: Callable[[], Result]) -> Result:
        """Run something on the state; returns when what it did is safe."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._watch = self._loop.create_task(self._watch_loop(), name="azr-loop-lag")
        return await asyncio.wrap_future(self.thread.submit(act))

    def news(self, *topics: str) -> None:
        """Said in the thread by what changes the state so that somebody who waits for these may find something."""
        self._news.update(topics)

    async def until(
        self, topic: str, act: Callable[[], Result], enough: Callable[[Result], bool], wait_seconds: float
    ) -> Result:
        """Run something again after news of this topic until its result is enough or the time is over; the last
        result."""
        deadline = time.monotonic() + wait_seconds
        while True:
            woken = self._woken.setdefault(topic, asyncio.Event())
            result = await self.act(act)
            left = deadline - time.monotonic()
            if enough(result) or left <= 0:
                return result
            await _within(woken.wait(), left)

    def report(self) -> ProcessReport:
        """How the process is doing."""
        return ProcessReport(
            name=self.place.name,
            seconds_up=time.monotonic() - self.began,
            journal_bytes=self.journal.size,
            calls=self.thread.answered,
            syncs=self.thread.rounds,
            longest_sync=self.thread.longest_flush,
            loop_lag=self._lag,
        )

    async def _watch_loop(self) -> None:
        while True:
            began = time.monotonic()
            await asyncio.sleep(LAG_SECONDS)
            self._lag = max(self._lag, time.monotonic() - began - LAG_SECONDS)

    def close(self) -> None:
        """End the thread and let go of the folder."""
        if self._watch is not None and self._loop is not None and self._loop.is_running():
            self._loop.call_soon_threadsafe(self._watch.cancel)
        if self._thread is not None:
            self._thread.close()
        self.journal.close()
        self._lock.close()

    def _tick(self, tick: Callable[[], None]) -> None:
        """What is due and cannot be done now, for the disk is full perhaps, is due again at the next tick."""
        try:
            tick()
        except BooksBrokenError:
            raise
        except Exception as error:
            self.logger.error("what was due could not be done, and is tried again: %s", error)

    def _flush(self) -> None:
        """Whatever the policy, a journal that takes no more records ends the process: opened anew it takes them."""
        self.journal.require_usable()
        if self.place.sync == "commit" and self.journal.synced != self.journal.size:
            self.journal.sync()
        self.journal.sync_if_due()

    def _changed(self) -> None:
        """Called in the thread after each round: whoever waits may look again if there is anything new."""
        if self._news and self._loop is not None and not self._loop.is_closed():
            topics, self._news = self._news, set()
            self._loop.call_soon_threadsafe(self._wake, topics)

    def _wake(self, topics: set[str]) -> None:
        for topic in topics:
            if (woken := self._woken.pop(topic, None)) is not None:
                woken.set()

    def _end(self, error: BaseException) -> None:
        self.logger.critical("the state cannot be kept safe any longer: %s", error)
        self._broken(error)


def _leave(_: BaseException) -> None:
    """End this process at once: Ray starts another, which opens the journal and knows what is safe."""
    logging.shutdown()
    os._exit(1)


def _locked(folder: Path) -> IO[bytes]:
    """A lock that ends with this process. A restarted shard that finds no lock to take is not where its journal is."""
    if not (folder / "lock").exists() and is_restarted():
        raise AzrError(
            f"{folder} was never written: this shard was restarted on a machine that does not have its journal",
            "keep services on the machine, or the shared disk, that holds the run's folder",
        )
    make_folder(folder)
    file = (folder / "lock").open("ab")
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        if locked(file):
            return file
        if time.monotonic() > deadline:
            raise AzrError(
                f"{folder} is in use by another process, waited {LOCK_SECONDS:g} s for it to end",
                "a run of the same name is running; stop it, or give this one another run.name",
            )
        time.sleep(0.05)


async def _within(wait: Awaitable[object], seconds: float) -> None:
    try:
        await asyncio.wait_for(wait, seconds)
    except TimeoutError:
        return
