"""The registry without Ray around it: versions in files, waiting calls, replicas that end, its own restart."""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
import torch

from actors.host import host_id
from actors.weights import registry as module
from actors.weights.records import Member, Order, Report, Stored
from actors.weights.registry import Registry
from actors.weights.transports.files import file_name, receive_file, write_file
from azr.errors import AzrError
from azr.game.types import Version
from azr.held_folders import LOCK, QUIET_SECONDS, remove_abandoned
from tests.actors.waiting import until


def _registry(folder: Path, **pools: int) -> Registry:
    return Registry(str(folder), 2, pools or {"shared": 1}, put=lambda content: content)


async def _adopt(registry: Registry, folder: Path, step: int) -> Stored:
    path = folder / file_name(Version(0, step))
    size = write_file(path, {"w": torch.full((3,), float(step))})
    stored = Stored(version=Version(0, step), path=str(path), checksum=f"sum-{step}", size=size)
    await registry.adopt(stored)
    return stored


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != LOCK)


def _order(step: int) -> Order:
    return Order(number=0, action="file", version=Version(0, step))


async def _serve(registry: Registry, name: str, port: int = 0) -> Member:
    joined = await registry.join(Member(name=name, address="127.0.0.1", pid=os.getpid(), host=host_id()))
    member = msgspec.structs.replace(joined, state="serving", port=port)
    assert await registry.update(member)
    return member


class TestVersions:
    async def test_the_last_few_are_kept_and_the_files_of_others_removed(self, tmp_path: Path) -> None:
        registry = _registry(tmp_path)
        for step in range(1, 5):
            await _adopt(registry, tmp_path, step)
        assert [version.step for version in sorted(registry._book.versions)] == [3, 4]
        assert _names(tmp_path) == [
            "0.3.safetensors",
            "0.3.safetensors.json",
            "0.4.safetensors",
            "0.4.safetensors.json",
        ]

    async def test_a_registry_that_is_started_anew_finds_them(self, tmp_path: Path) -> None:
        before = _registry(tmp_path)
        await _adopt(before, tmp_path, 1)
        newest = await _adopt(before, tmp_path, 2)
        assert await _registry(tmp_path).newest() == newest

    async def test_a_file_without_its_note_was_never_adopted(self, tmp_path: Path) -> None:
        write_file(tmp_path / file_name(Version(0, 9)), {"w": torch.ones(1)})
        assert await _registry(tmp_path).newest() is None

    async def test_a_publisher_that_begins_finds_no_more_than_what_is_kept(self, tmp_path: Path) -> None:
        registry = _registry(tmp_path)
        await _adopt(registry, tmp_path, 1)
        write_file(tmp_path / file_name(Version(0, 2)), {"w": torch.ones(1)})  # its publisher died before it told
        (tmp_path / ".0.3.safetensors.77").mkdir()
        assert await registry.begin_publishing() == (host_id(), str(tmp_path))
        assert _names(tmp_path) == ["0.1.safetensors", "0.1.safetensors.json"]

    async def test_a_folder_that_somebody_removed_is_made_again_for_the_next_publisher(self, tmp_path: Path) -> None:
        registry = _registry(tmp_path / "own")
        shutil.rmtree(tmp_path / "own")
        assert await registry.begin_publishing() == (host_id(), str(tmp_path / "own"))
        await _adopt(registry, tmp_path / "own", 1)
        later = time.time() + QUIET_SECONDS + 1.0
        assert remove_abandoned(tmp_path, "own", clock=lambda: later) == [], "and it is somebody's again"

    async def test_its_folder_is_held_as_long_as_it_lives(self, tmp_path: Path) -> None:
        registry = _registry(tmp_path / "azr-azr-run-1")
        later = time.time() + QUIET_SECONDS + 1.0
        gc.collect()
        assert remove_abandoned(tmp_path, "azr-azr-*", clock=lambda: later) == []
        registry._held.close()
        assert len(remove_abandoned(tmp_path, "azr-azr-*", clock=lambda: later)) == 1

    async def test_one_too_many_that_a_registry_was_killed_before_removing_goes_when_it_is_back(
        self, tmp_path: Path
    ) -> None:
        before = Registry(str(tmp_path), 3, {"shared": 1})
        for step in (1, 2, 3):
            await _adopt(before, tmp_path, step)
        assert [version.step for version in sorted(_registry(tmp_path)._book.versions)] == [2, 3]
        assert "0.1.safetensors" not in _names(tmp_path)

    async def test_a_run_whose_driver_has_the_process_id_of_one_before_takes_over_nothing(self, tmp_path: Path) -> None:
        before = _registry(tmp_path, shared=2)
        await _adopt(before, tmp_path, 1)
        await before.want("shared", 1)
        registry = _registry(tmp_path, shared=2)
        await registry.forget_all()
        assert _names(tmp_path) == []
        assert registry._book.wanted == {"shared": 2}
        assert (await registry.next_order("r", 0, 0.0))[1] is None

    async def test_bytes_from_another_machine_become_a_file_and_go_to_others_as_bytes(self, tmp_path: Path) -> None:
        write_file(tmp_path / "elsewhere", {"w": torch.arange(5.0)})
        content = np.fromfile(tmp_path / "elsewhere", np.uint8)
        registry = _registry(tmp_path / "own")
        await registry.accept(Version(1, 2), content, "sum")
        stored = await registry.newest()
        assert stored is not None
        assert receive_file({"path": stored.path})[0][1].tolist() == [0, 1, 2, 3, 4]
        assert np.array_equal((await registry.pull(Version(1, 2)))[0], content)

    async def test_a_version_that_is_kept_no_longer_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(KeyError, match=r"0\.7 is kept no longer"):
            await _registry(tmp_path).pull(Version(0, 7))

    async def test_all_who_pull_a_version_get_one_reference_and_the_next_version_lets_it_go(
        self, tmp_path: Path
    ) -> None:
        put: list[int] = []
        registry = Registry(str(tmp_path), 2, {"shared": 1}, put=lambda content: put.append(content.nbytes) or len(put))
        await _adopt(registry, tmp_path, 1)
        answers = await asyncio.gather(*(registry.pull(Version(0, 1)) for _ in range(5)))
        assert [*answers, await registry.pull(Version(0, 1))] == [[1]] * 6
        await _adopt(registry, tmp_path, 2)
        assert registry._shared is None, "nothing else holds the bytes"
        assert await registry.pull(Version(0, 2)) == [2]
        assert await registry.pull(Version(0, 1)) == [3]

    async def test_before_a_version_comes_as_bytes_those_of_the_one_before_are_let_go(self, tmp_path: Path) -> None:
        """Both would lie in shared memory, which has to hold no more than the files and one version on its way."""
        registry = _registry(tmp_path)
        await _adopt(registry, tmp_path, 1)
        await registry.pull(Version(0, 1))
        assert registry._shared is not None
        await registry.make_way(8)
        assert registry._shared is None

    async def test_who_pulls_as_the_next_version_comes_has_its_own(self, tmp_path: Path) -> None:
        comes = threading.Event()

        def put(content: object) -> object:
            comes.wait(10)
            return content

        registry = Registry(str(tmp_path), 2, {"shared": 1}, put=put)
        await _adopt(registry, tmp_path, 1)
        pulling = asyncio.create_task(registry.pull(Version(0, 1)))
        await until(lambda: registry._shared is not None, "its bytes are asked for")
        await registry.make_way(8)
        await registry.accept(Version(0, 2), np.zeros(8, np.uint8), "sum")
        comes.set()
        [content] = await pulling
        assert content.tobytes() == (tmp_path / file_name(Version(0, 1))).read_bytes()

    async def test_bytes_for_which_there_is_no_room_are_refused_with_the_folder_and_what_helps(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As where the publisher writes the file itself: at the first version, if not all that are kept will fit."""

        def full(_path: Path, _content: bytes) -> None:
            raise OSError(28, "No space left on device")

        usage = SimpleNamespace(free=3 * 8 - 1)
        monkeypatch.setattr(shutil, "disk_usage", lambda _folder: usage)
        registry = _registry(tmp_path)
        with pytest.raises(AzrError, match=r"weights of 8 bytes .* 3 must fit \(weights\.keep_versions=2"):
            await registry.make_way(8)
        usage.free = 3 * 8
        await registry.make_way(8)
        await registry.accept(Version(0, 1), np.zeros(8, np.uint8), "sum")
        monkeypatch.setattr(module, "write_bytes", full)
        with pytest.raises(AzrError, match=r"beside the 1 versions there: .*No space left on device") as told:
            await registry.accept(Version(0, 2), np.zeros(8, np.uint8), "sum")
        assert told.value.what.startswith(str(tmp_path))
        assert "weights.folder" in told.value.mend

    async def test_what_one_who_pulls_could_not_have_the_next_is_given(self, tmp_path: Path) -> None:
        answers: list[object] = [MemoryError("the object store is full"), "a reference"]

        def put(_content: object) -> object:
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        registry = Registry(str(tmp_path), 2, {"shared": 1}, put=put)
        await _adopt(registry, tmp_path, 1)
        with pytest.raises(MemoryError, match="full"):
            await registry.pull(Version(0, 1))
        assert await registry.pull(Version(0, 1)) == ["a reference"]

    async def test_a_new_run_forgets_what_one_before_it_left(self, tmp_path: Path) -> None:
        await _adopt(_registry(tmp_path), tmp_path, 1)
        registry = _registry(tmp_path)
        await registry.forget_all()
        assert await registry.newest() is None
        assert _names(tmp_path) == []

    async def test_what_dead_runs_left_is_looked_for_once_more_when_it_has_lain_still_for_long_enough(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        looked: list[Path] = []
        monkeypatch.setattr(module, "_TIDY_SECONDS", 0.01)
        monkeypatch.setattr(module, "remove_abandoned_versions", lambda parent: looked.append(parent) or [])
        await _registry(tmp_path / "own").forget_all()
        await until(lambda: len(looked) == 2, "the second look")
        assert looked == [tmp_path, tmp_path]

    async def test_at_the_end_the_folder_is_gone_and_a_file_of_somebody_else_is_not(self, tmp_path: Path) -> None:
        for folder in (tmp_path / "alone", tmp_path / "shared"):
            registry = _registry(folder)
            await _adopt(registry, folder, 1)
            await registry.want("shared", 2)
            if folder.name == "shared":
                (folder / "notes.txt").write_text("precious")
            await registry.clear()
        assert _names(tmp_path) == ["shared"]
        assert _names(tmp_path / "shared") == ["notes.txt"]


class TestWaiting:
    async def test_a_replica_hears_of_an_order_when_it_is_given(self, tmp_path: Path) -> None:
        registry = _registry(tmp_path)
        await _serve(registry, "a")
        waiting = asyncio.create_task(registry.next_order("a", 0, 10))
        await asyncio.sleep(0.02)
        number = await registry.give(_order(1))
        state, order = await waiting
        assert state == "serving"
        assert order is not None
        assert (order.number, order.version) == (number, Version(0, 1))

    async def test_a_question_ends_when_its_time_is_up(self, tmp_path: Path) -> None:
        registry = _registry(tmp_path)
        await _serve(registry, "a")
        began = time.monotonic()
        assert await registry.next_order("a", 0, 0.1) == ("serving", None)
        assert 0.05 < time.monotonic() - began < 5

    async def test_a_replica_that_is_not_known_is_told_at_once(self, tmp_path: Path) -> None:
        assert await _registry(tmp_path).next_order("stranger", 0, 60) == ("lost", None)

    async def test_an_outcome_is_there_when_all_have_reported_and_names_who_has_not(self, tmp_path: Path) -> None:
        registry = _registry(tmp_path, shared=2)
        for name in "ab":
            await _serve(registry, name, port=1)
            registry._watchers.pop(name).cancel()  # nobody listens at that port
        number = await registry.give(_order(1))
        await registry.report(Report(name="a", number=number, version=Version(0, 1)))
        stands, reports, owing = await registry.outcome(number, [], 0.05)
        assert (stands, [report.name for report in reports], owing) == (True, ["a"], ["b"])
        waiting = asyncio.create_task(registry.outcome(number, [], 10))
        await registry.report(Report(name="b", number=number, version=Version(0, 1)))
        assert (await waiting)[2] == []

    async def test_an_order_of_the_registry_before_this_one_does_not_stand(self, tmp_path: Path) -> None:
        number = await _registry(tmp_path).give(_order(1))
        assert await _registry(tmp_path).outcome(number, ["a"], 5) == (False, [], [])

    async def test_what_a_registry_was_handing_on_when_it_died_its_successor_hands_on(self, tmp_path: Path) -> None:
        newest = await _adopt(_registry(tmp_path), tmp_path, 7)
        registry = _registry(tmp_path)
        await _serve(registry, "a")
        _, order = await registry.next_order("a", 0, 5)
        assert order is not None
        assert (order.action, order.version, order.checksum) == ("file", newest.version, newest.checksum)

    async def test_a_clock_that_was_set_back_hides_no_order_from_those_that_saw_higher_numbers(
        self, tmp_path: Path
    ) -> None:
        newest = await _adopt(_registry(tmp_path), tmp_path, 7)
        registry = _registry(tmp_path)
        await _serve(registry, "a")
        seen = registry._book.numbered + 10**7
        _, order = await registry.next_order("a", seen, 5)
        assert order is not None
        assert (order.number, order.version) == (seen + 1, newest.version)
        assert (await registry.next_order("a", order.number, 0.0))[1] is None
        assert await registry.give(_order(8)) == seen + 2

    async def test_a_new_registry_waits_for_those_that_it_has_not_heard_of_yet(self, tmp_path: Path) -> None:
        registry = _registry(tmp_path)
        number = await registry.give(_order(1))
        assert (await registry.outcome(number, ["a"], 0.05))[2] == ["a"]
        waiting = asyncio.create_task(registry.outcome(number, ["a"], 10))
        await _serve(registry, "a")
        await registry.leave("a", "its process ended")
        assert (await waiting)[2] == [], "one that is gone owes nothing"

    async def test_numbers_of_a_new_registry_are_above_those_of_the_one_before(self, tmp_path: Path) -> None:
        before = await _registry(tmp_path).give(_order(1))
        await asyncio.sleep(0.005)
        assert await _registry(tmp_path).give(_order(2)) > before

    async def test_clients_hear_of_a_change(self, tmp_path: Path) -> None:
        registry = _registry(tmp_path)
        sequence, members = await registry.watch_members("shared", -1, 5)
        assert members == []
        waiting = asyncio.create_task(registry.watch_members("shared", sequence, 10))
        await _serve(registry, "a")
        assert [member.name for member in (await waiting)[1]] == ["a"]

    async def test_a_standby_hears_when_it_is_needed(self, tmp_path: Path) -> None:
        registry = _registry(tmp_path)
        await _serve(registry, "a")
        assert (await registry.join(Member(name="b"))).state == "standby"
        waiting = asyncio.create_task(registry.await_role("b", 10))
        await asyncio.sleep(0.02)
        await registry.leave("a", "gone")
        member = await waiting
        assert member is not None
        assert member.state == "starting"


class TestEnds:
    async def test_a_replica_whose_connection_ends_is_lost_at_once_and_named(self, tmp_path: Path) -> None:
        writers: list[asyncio.StreamWriter] = []

        async def listen(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writers.append(writer)

        server = await asyncio.start_server(listen, "127.0.0.1", 0)
        registry = _registry(tmp_path)
        await _serve(registry, "a", server.sockets[0].getsockname()[1])
        await until(lambda: bool(writers), "the registry holds a connection")
        writers[0].close()
        began = time.monotonic()
        await until(lambda: "a" not in registry._book.members, "it is lost", 5)
        assert time.monotonic() - began < 1
        [lost] = await registry.lost()
        assert (lost.name, lost.state, lost.why) == ("a", "lost", "its process ended")
        assert await registry.replaced() == 1
        server.close()

    async def test_what_it_left_on_this_machine_is_removed_a_little_later(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        swept: list[tuple[object, ...]] = []
        monkeypatch.setattr(module, "_SWEEP_SECONDS", 0.0)
        monkeypatch.setattr(module, "sweep", lambda *what: swept.append(what) or [])
        server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
        registry = _registry(tmp_path)
        joined = await registry.join(Member(name="a", address="127.0.0.1", pid=7, host=host_id()))
        port = server.sockets[0].getsockname()[1]
        await registry.update(
            msgspec.structs.replace(joined, state="serving", port=port, engine_pids=(8,), rings=("psm_x",))
        )
        await until(lambda: bool(swept), "it is swept", 5)
        assert swept == [((7, 8), ("psm_x",))]
        server.close()

    async def test_what_one_left_that_gave_up_is_removed_too_and_not_of_one_that_was_told_to_go(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        swept: list[tuple[object, ...]] = []
        monkeypatch.setattr(module, "_SWEEP_SECONDS", 0.0)
        monkeypatch.setattr(module, "sweep", lambda *what: swept.append(what) or [])
        registry = _registry(tmp_path, shared=2)
        for name, pid in (("told", 5), ("gives up", 7)):
            await registry.join(Member(name=name, pid=pid, host=host_id(), engine_pids=(pid + 1,), rings=("psm_x",)))
        await registry.leave("told")
        await registry.leave("gives up", "3 engines died")
        await until(lambda: bool(swept), "it is swept", 5)
        assert swept == [((7, 8), ("psm_x",))]

    async def test_how_many_are_wanted_outlives_the_registry(self, tmp_path: Path) -> None:
        await _registry(tmp_path).want("shared", 3)
        registry = _registry(tmp_path)
        states = [(await registry.join(Member(name=name))).state for name in "abcd"]
        assert states == ["starting", "starting", "starting", "standby"]

    async def test_what_a_replica_last_said_is_told_until_it_leaves(self, tmp_path: Path) -> None:
        registry = _registry(tmp_path)
        await _serve(registry, "a")
        await registry.tell_status("a", b"one")
        await registry.tell_status("a", b"two")
        assert await registry.statuses() == [b"two"]
        await registry.leave("a")
        assert await registry.statuses() == []


async def test_one_too_many_that_comes_to_serve_is_told_to_stand_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that died while it gave up its place, and made another engine."""
    monkeypatch.setattr(module, "_SETTLE_SECONDS", 0.05)
    registry = _registry(tmp_path)
    for name in "ab":
        await registry.join(Member(name=name, state="standby"))
    for name in "ab":
        assert await registry.update(Member(name=name, state="serving"))
    await until(lambda: registry._state("b") == "standby", "the last that came to serve stands by")
    assert registry._state("a") == "serving"


async def test_a_standby_takes_the_place_of_one_that_died_while_the_registry_was_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_FILL_SECONDS", 0.05)
    registry = _registry(tmp_path)
    assert (await registry.join(Member(name="b", state="standby"))).state == "standby"
    member = await registry.await_role("b", 5)
    assert member is not None
    assert member.state == "starting"


async def test_and_of_none_that_joins_the_new_registry_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FILL_SECONDS", 0.05)
    registry = _registry(tmp_path)
    await registry.join(Member(name="b", state="standby"))
    await registry.join(Member(name="a", state="serving"))
    await asyncio.sleep(0.15)
    assert [registry._state(name) for name in "ab"] == ["serving", "standby"]
