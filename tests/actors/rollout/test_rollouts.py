"""Replicas under Serve with real engines: shared load, weights in flight, deaths, scaling, and nothing left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import msgspec
import psutil
import pytest

from actors.engine.records import GenerateRequest
from actors.rollout.client import RolloutClient
from actors.rollout.errors import RolloutError
from actors.weights.records import UpdateReport
from azr.game.types import Version
from tests.actors.rollout.conftest import Cluster
from tests.actors.tiny import changed_weights
from tests.actors.waiting import until

pytestmark = pytest.mark.timeout(420)

#: DESIGN's bounds on recovery, in seconds.
WITH_STANDBY = 20.0


def _publish(cluster: Cluster, transport: str, step: int = 1) -> tuple[Version, UpdateReport]:
    version = cluster.next_version()
    publisher = cluster.publisher(transport)
    try:
        return version, publisher.publish(version, changed_weights(cluster.model, step))
    finally:
        publisher.close()


def _left_by(*pids: int) -> list[Path]:
    """Sockets and semaphores of these processes."""
    found = [path for pid in pids for path in Path("/dev/shm").glob(f"sem.loky-{pid}-*")]
    return found + [path for pid in pids if (path := Path(f"/tmp/azr-engine-{pid}")).exists()]


class TestLoad:
    async def test_replicas_share_it_evenly(self, cluster: Cluster) -> None:
        async with cluster.load(lanes=32) as load:
            await until(lambda: len(load.answers) >= 96, "some rounds of answers")
        counts = [sum(each.replica == member.name for _, each in load.answers) for member in cluster.serving()]
        assert min(counts) >= 0.25 * sum(counts)
        assert len(load.answers) == load.asked

    async def test_a_standby_is_asked_nothing(self, cluster: Cluster) -> None:
        async with cluster.load(lanes=8) as load:
            await until(lambda: len(load.answers) >= 16, "some answers")
            assert set(load.client.replicas) == {member.name for member in cluster.serving()}

    async def test_an_answer_that_does_not_come_in_time_names_whom_it_was_waited_for(self, cluster: Cluster) -> None:
        client = RolloutClient(cluster.rollouts.registry)
        await client.ready(2, 30)
        request = GenerateRequest(id="slow", prompt_ids=(1,), samples=64, max_tokens=400, ignore_end=True)
        with pytest.raises(RolloutError, match=r"request slow: no answer from shared-\w+ within 0.05 s") as caught:
            await client.generate(request, 0.05)
        assert caught.value.cause == "deadline"
        await client.close()

    async def test_a_pool_without_replicas_is_named(self, cluster: Cluster) -> None:
        client = RolloutClient(cluster.rollouts.registry, pool="nobody")
        with pytest.raises(RolloutError, match=r"no replica of pool 'nobody' was there within 0.2 s"):
            await client.generate(GenerateRequest(id="lost", prompt_ids=(1,)), 0.2)
        await client.close()

    async def test_a_request_that_can_never_be_answered_is_refused_at_once(self, cluster: Cluster) -> None:
        client = RolloutClient(cluster.rollouts.registry)
        with pytest.raises(RolloutError) as caught:
            await client.generate(GenerateRequest(id="long", prompt_ids=tuple(range(250)) * 3), 60)
        assert caught.value.cause == "refused"
        assert client.retries == 0
        await client.close()


@pytest.mark.parametrize("transport", ["shm", "gloo", "disk"])
class TestUpdates:
    async def test_all_replicas_confirm_one_version_and_one_checksum_while_requests_go_on(
        self, cluster: Cluster, transport: str
    ) -> None:
        publisher = cluster.publisher(transport)
        async with cluster.load() as load:
            for step in range(1, 4):
                version = cluster.next_version()
                weights = changed_weights(cluster.model, step)
                report = await asyncio.to_thread(publisher.publish, version, weights)
                assert report.complete, report.missing
                assert [each.version for each in report.reports] == [version] * 2
                assert len({each.times.loaded for each in report.reports if each.times}) == 1
                expected = {"file"} if transport in ("shm", "disk") else {transport}
                assert {each.transport for each in report.reports} == expected
        publisher.close()
        spans = [len(generation.responses[0].spans) for _, generation in load.answers]
        assert max(spans) > 1, "some were sampled across an update"
        assert len(load.answers) == load.asked
        assert {member.version for member in cluster.serving()} == {version}


class TestDeaths:
    async def test_a_killed_engine_is_back_within_seconds_and_no_request_is_lost(self, cluster: Cluster) -> None:
        version, _ = _publish(cluster, "shm", step=5)
        victim, other = cluster.serving()
        async with cluster.load(lanes=32) as load:
            await until(lambda: len(load.answers) >= 32, "answers")
            os.kill(victim.engine_pids[0], signal.SIGKILL)
            killed = time.monotonic()
            await until(lambda: victim.name not in {each.name for each in cluster.serving()}, "the death is seen", 10)
            await until(lambda: any(each.replica == other.name for each in load.since(killed)), "the other goes on", 20)
            await until(lambda: victim.name in {each.name for each in cluster.serving()}, "the engine is back", 60)
            seconds = time.monotonic() - killed
            await until(lambda: any(each.replica == victim.name for each in load.since(killed + seconds)), "it answers")
        assert seconds <= WITH_STANDBY
        assert len(load.answers) == load.asked
        back = next(each for each in cluster.serving() if each.name == victim.name)
        assert back.version == version, "it has the newest weights"
        assert back.engine_pids != victim.engine_pids
        assert back.pid == victim.pid, "only its engine was replaced"
        await until(lambda: not _left_by(*victim.engine_pids), "what the engine left is removed", 20)

    async def test_a_standby_takes_a_killed_replicas_place_and_no_request_is_lost(self, cluster: Cluster) -> None:
        cluster.settle()
        version, _ = _publish(cluster, "gloo", step=6)
        victim, other = cluster.serving()
        [standby] = [each for each in cluster.rollouts.members() if each.state == "standby"]
        async with cluster.load(lanes=32) as load:
            await until(lambda: len(load.answers) >= 32, "answers")
            os.kill(victim.pid, signal.SIGKILL)
            killed = time.monotonic()
            await until(lambda: standby.name in {each.name for each in cluster.serving()}, "the standby serves", 60)
            seconds = time.monotonic() - killed
            await until(
                lambda: any(each.replica == standby.name for each in load.since(killed + seconds)), "it answers", 30
            )
        assert seconds <= WITH_STANDBY
        assert len(load.answers) == load.asked
        assert {each.version for each in cluster.serving()} == {version}
        assert {each.name for each in cluster.serving()} == {other.name, standby.name}
        await until(lambda: not any(map(psutil.pid_exists, victim.engine_pids)), "its engine ended with it", 10)
        await until(lambda: not _left_by(victim.pid, *victim.engine_pids), "what they left is removed", 20)
        cluster.settle()  # Serve puts a new standby there

    async def test_replicas_serve_on_while_the_registry_is_dead_and_join_the_next_one(self, cluster: Cluster) -> None:
        import ray

        cluster.settle()
        before, _ = _publish(cluster, "shm", step=7)
        names = {each.name for each in cluster.serving()}
        async with cluster.load(lanes=16) as load:
            await until(lambda: len(load.answers) >= 16, "answers")
            ray.kill(cluster.rollouts.registry, no_restart=False)
            killed = time.monotonic()
            await until(lambda: len(load.since(killed)) >= 32, "answers go on")

        def joined() -> bool:
            try:
                return {each.name for each in cluster.serving()} == names
            except ray.exceptions.RayError:
                return False

        await until(joined, "the same replicas have joined the new registry", 60)
        newest = ray.get(cluster.rollouts.registry.newest.remote(), timeout=20)
        assert newest.version == before, "the weights were kept"
        version, report = _publish(cluster, "shm", step=8)
        assert report.complete
        assert {each.version for each in cluster.serving()} == {version}
        cluster.settle()

    async def test_a_registry_killed_in_the_middle_of_an_update_loses_nothing_of_it(self, cluster: Cluster) -> None:
        import ray

        cluster.settle()
        publisher = cluster.publisher("shm")
        for number, seconds in enumerate((0.0, 0.02, 0.05)):
            version = cluster.next_version()
            weights = changed_weights(cluster.model, number)
            publishing = asyncio.create_task(asyncio.to_thread(publisher.publish, version, weights))
            await asyncio.sleep(seconds)
            ray.kill(cluster.rollouts.registry, no_restart=False)
            report = await publishing
            assert report.complete, report.missing
            await until(
                lambda wanted=version: [each.version for each in cluster.serving()] == [wanted, wanted],  # type: ignore[misc]
                "both replicas are known again, with these weights",
                120,
            )


class TestScaling:
    async def test_a_replica_is_added_during_the_run_and_leaves_without_a_lost_request(self, cluster: Cluster) -> None:
        cluster.settle()
        version, _ = _publish(cluster, "shm", step=10)
        before = {each.name for each in cluster.serving()}
        async with cluster.load(lanes=32) as load:
            cluster.rollouts.scale(3)
            await until(lambda: len(cluster.serving()) == 3, "three serve", 200)
            [joined] = [each for each in cluster.serving() if each.name not in before]
            assert joined.version == version
            serving_since = time.monotonic()
            await until(lambda: any(each.replica == joined.name for each in load.since(serving_since)), "it answers")
            cluster.rollouts.scale(2)
            await until(lambda: len(cluster.serving()) == 2, "two are left", 120)
            left_at = time.monotonic()
            await until(lambda: len(load.since(left_at)) >= 32, "answers go on")
        assert len(load.answers) == load.asked
        assert load.client.retries <= 64, (
            "who leaves finishes what it has; at most what was just sent is sent elsewhere"
        )
        cluster.settle()


class TestOneWhoseWeightsDiffer:
    async def test_it_takes_them_again(self, cluster: Cluster) -> None:
        cluster.settle()
        version, report = _publish(cluster, "shm", step=11)
        good, bad = report.reports
        assert bad.times is not None
        wrong = msgspec.structs.replace(bad, times=msgspec.structs.replace(bad.times, loaded="other"))
        third = msgspec.structs.replace(good, name="a third")
        publisher = cluster.publisher("shm")
        reports, missing = await asyncio.to_thread(
            publisher._mend, version, [good, wrong, third], [], time.monotonic() + 60
        )
        mended = next(each for each in reports if each.name == bad.name)
        assert missing == []
        assert mended.times is not None
        assert (mended.transport, mended.times.loaded) == ("file", bad.times.loaded)


class TestOneThatDoesNotConfirm:
    async def test_it_is_named_and_given_up_and_comes_back_with_the_newest(self, cluster: Cluster) -> None:
        cluster.settle()
        victim, other = cluster.serving()
        publisher = cluster.publisher("shm")
        publisher._config.publish_seconds = 2.0
        version = cluster.next_version()
        os.kill(victim.engine_pids[0], signal.SIGSTOP)
        try:
            report = await asyncio.to_thread(publisher.publish, version, changed_weights(cluster.model, 9))
        finally:
            os.kill(victim.engine_pids[0], signal.SIGCONT)
        assert not report.complete
        assert [name.split(" ")[0].rstrip(":") for name in report.missing] == [victim.name]
        assert "2 s" in report.missing[0]
        [confirmed] = [each for each in report.reports if not each.error]
        assert (confirmed.name, confirmed.version) == (other.name, version)
        await until(lambda: [each.version for each in cluster.serving()] == [version] * 2, "both serve the newest", 120)


async def test_statuses_tell_of_every_replica(cluster: Cluster) -> None:
    cluster.settle()
    async with cluster.load(lanes=16) as load:
        await until(lambda: len(load.answers) >= 64, "all have something to tell of")
    await asyncio.sleep(2.5)  # each says it once a second
    statuses = {status.name: status for status in cluster.rollouts.statuses()}
    serving = cluster.serving()
    assert set(statuses) == {each.name for each in cluster.rollouts.members()}
    assert {statuses[each.name].version for each in serving} == {each.version for each in serving}
    assert len({statuses[each.name].checksum for each in serving}) == 1
    assert all(statuses[each.name].engine.generated_tokens > 0 for each in serving)


def test_only_the_versions_that_are_kept_lie_in_memory(cluster: Cluster) -> None:
    for step in range(4):
        _publish(cluster, "shm", step)
    files = sorted(path.name for path in Path(cluster.rollouts.folder).glob("*.safetensors"))
    assert len(files) == cluster.rollouts.settings.weights_config.keep_versions
