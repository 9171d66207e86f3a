"""The pool at work: order, laziness, bounds, threads and event loops side by side."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import cast

import pytest

from sandbox_wasm.pool import SandboxBrokenError, SandboxClosedError, SandboxPool, open_sandbox
from sandbox_wasm.protocol import InspectJob, InspectResult, Limits, LiteralJob, LiteralResult, RunJob, Sandbox
from tests.sandbox_wasm.pool.jobs import eventually, run, said

#: How often an event loop comes round at the least while a pool works for more than half a second; one that a call
#: holds up does not come round at all.
LOOP_TURNS = 10


def test_the_pool_is_a_sandbox(pool: SandboxPool) -> None:
    assert isinstance(pool, Sandbox)


def test_answers_come_in_the_order_of_the_jobs_whatever_each_takes(pool: SandboxPool) -> None:
    jobs = [run(f"sleep {(index * 7 % 5) / 500}", str(index)) for index in range(200)]
    assert [said(result) for result in pool.run_many(jobs)] == [[str(index)] for index in range(200)]


def test_every_kind_of_job_is_answered_by_its_kind_of_result(pool: SandboxPool) -> None:
    execution, reading, inspection = pool.run_many([run("say", "1"), LiteralJob(texts=("2",)), InspectJob(program="")])
    assert said(execution) == ["1"]
    assert isinstance(reading, LiteralResult)
    assert isinstance(inspection, InspectResult)


def test_run_many_reads_no_further_ahead_than_the_queue_is_long(plugin_site: Path) -> None:
    taken = 0

    def endless() -> Iterator[RunJob]:
        nonlocal taken
        while True:
            taken += 1
            yield run("say", str(taken))

    with open_sandbox("rehearsal", 1, queue_jobs=10) as pool:
        results = pool.run_many(endless())
        for answered in range(1, 51):
            assert said(next(results)) == [str(answered)]
            assert taken - answered <= 10 + 1, "ten unanswered jobs, and one in hand"
            assert pool._places.taken <= 10


def test_an_iterator_that_is_dropped_leaves_its_places_to_others(plugin_site: Path) -> None:
    with open_sandbox("rehearsal", 1, queue_jobs=4) as pool:
        results = pool.run_many(run("sleep 0.05", str(index)) for index in range(100))
        abandoned = cast(Generator[object, None, None], results)
        next(abandoned)
        abandoned.close()
        assert said(next(pool.run_many([run("say", "next")]))) == ["next"]
        eventually(lambda: pool._places.taken == 0, "all places are given back")


def test_an_error_of_the_jobs_own_source_reaches_who_reads_the_answers(pool: SandboxPool) -> None:
    def broken() -> Iterator[RunJob]:
        yield run("say", "1")
        raise LookupError("no more where that came from")

    with pytest.raises(LookupError):
        list(pool.run_many(broken()))


async def test_many_coroutines_share_a_pool_and_each_gets_its_own_answers(pool: SandboxPool) -> None:
    async def ask(name: int) -> list[list[str]]:
        return [said(result) for result in await pool.run_async([run("say", f"{name}.{index}") for index in range(20)])]

    answers = await asyncio.gather(*(ask(name) for name in range(30)))
    assert answers == [[[f"{name}.{index}"] for index in range(20)] for name in range(30)]


async def test_a_request_longer_than_the_queue_waits_without_exceeding_it(plugin_site: Path) -> None:
    with open_sandbox("rehearsal", 2, queue_jobs=8) as pool:
        asked = asyncio.create_task(pool.run_async([run("say", str(index)) for index in range(100)]))
        while not asked.done():
            assert pool._places.taken <= 8
            await asyncio.sleep(0.001)
        assert [said(result) for result in asked.result()] == [[str(index)] for index in range(100)]


async def test_the_event_loop_goes_on_while_the_pool_is_busy_and_its_queue_full(plugin_site: Path) -> None:
    with open_sandbox("rehearsal", 2, queue_jobs=16) as pool:
        busy = asyncio.create_task(pool.run_async([run("sleep 0.004", str(index)) for index in range(300)]))
        turns = 0
        while not busy.done():
            await asyncio.sleep(0.005)
            turns += 1
        assert len(busy.result()) == 300
        assert turns >= LOOP_TURNS


async def test_a_caller_that_waits_for_a_place_learns_that_the_pool_is_gone(
    plugin_site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever became of the thread that would have granted it."""
    monkeypatch.setattr("sandbox_wasm.pool.CHECK_SECONDS", 0.05)
    with open_sandbox("rehearsal", 1, queue_jobs=1) as pool:
        slow = asyncio.create_task(pool.run_async([run("sleep 60")]))
        await asyncio.sleep(0)
        gone = SandboxBrokenError("the thread is gone")
        monkeypatch.setattr(pool._dispatcher, "_failure", gone)
        with pytest.raises(SandboxBrokenError, match="the thread is gone"):
            await pool.run_async([run("say")])
        monkeypatch.setattr(pool._dispatcher, "_failure", None)
        slow.cancel()


async def test_a_cancelled_request_gives_its_places_back(plugin_site: Path) -> None:
    with open_sandbox("rehearsal", 1, queue_jobs=4) as pool:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await pool.run_async([run("sleep 0.05") for _ in range(50)])
        assert said((await pool.run_async([run("say", "next")]))[0]) == ["next"]
        eventually(lambda: pool._places.taken == 0, "all places are given back")


async def test_threads_and_event_loops_use_one_pool_at_once(pool: SandboxPool) -> None:
    plain: dict[int, list[list[str]]] = {}

    def work(name: int) -> None:
        plain[name] = [said(result) for result in pool.run_many(run("say", f"{name}/{k}") for k in range(150))]

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    results = await asyncio.gather(*(pool.run_async([run("say", str(k)) for k in range(150)]) for _ in range(4)))
    for thread in threads:
        await asyncio.to_thread(thread.join, 60)
    assert plain == {name: [[f"{name}/{k}"] for k in range(150)] for name in range(4)}
    assert all([said(one) for one in answers] == [[str(k)] for k in range(150)] for answers in results)


def test_work_behind_a_slow_job_is_done_by_another_worker_meanwhile(pool: SandboxPool, tmp_path: Path) -> None:
    released = tmp_path / "released"
    slow = run(f"await {released}", "slow", limits=Limits(wall_seconds=60))
    jobs = [run("sleep 0.002", str(index)) for index in range(100)]
    found: list[list[str]] = []
    thread = threading.Thread(target=lambda: found.extend(said(result) for result in pool.run_many([slow])))
    thread.start()
    assert [said(result) for result in pool.run_many(jobs)] == [[str(index)] for index in range(100)]
    assert found == [], "the slow one waits for them, not they for it"
    released.touch()
    thread.join(60)
    assert found == [["slow"]]


def test_statistics_say_what_was_done(pool: SandboxPool) -> None:
    list(pool.run_many([run("say", "1", "2"), run("sleep 0.05", "3"), LiteralJob(texts=("4",))]))
    seen = pool.statistics()
    assert (seen.jobs, seen.executions, seen.by_status) == (3, 4, {"ok": 4})
    assert 0.04 < seen.p99_seconds < 5
    assert seen.executions_per_second > 0
    assert seen.workers_replaced == 0


def test_a_closed_pool_says_so_and_may_be_closed_twice(plugin_site: Path) -> None:
    pool = open_sandbox("rehearsal", 1)
    pool.close()
    pool.close()
    with pytest.raises(SandboxClosedError):
        list(pool.run_many([run("say")]))


def test_closing_wakes_whoever_still_waits(plugin_site: Path) -> None:
    pool = open_sandbox("rehearsal", 1)
    results = pool.run_many([run("sleep 60")])
    threading.Timer(0.2, pool.close).start()
    began = time.monotonic()
    with pytest.raises(SandboxClosedError):
        next(results)
    assert time.monotonic() - began < 50, "not when the job was done"


def test_a_pool_without_workers_is_refused(plugin_site: Path) -> None:
    with pytest.raises(ValueError, match="at least one worker"):
        open_sandbox("rehearsal", 0)
