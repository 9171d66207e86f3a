"""New weights: commit, engines, buffers, slots, in this order; what is missing is said."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from actors.engine.records import UpdateTimes
from actors.weights.records import Report, UpdateReport
from azr.game.types import Version
from azr.journal import JournalError
from azr.metrics import Accumulator
from azr.run.publishing import Publish, synced
from azr.run.source import RunSource, Setting
from learner.weights import Weights
from tests.journal.disks import CrashingDisk
from tests.journal.test_journal import journal_on
from tests.run.books import LocalExperience, LocalHub, LocalTasks, config


class Publisher:
    """Notes when it is asked, and reports what the test says."""

    def __init__(self, order: list[str], *missing: str) -> None:
        self.order, self.missing, self.not_carried = order, missing, ""

    def publish(self, version: Version, weights: Weights) -> UpdateReport:
        self.order.append(f"engines {version.lineage}.{version.step}")
        times = UpdateTimes(version=version, stage=0.1, pause=0.02, apply=0.03, resume=0.01, size=10)
        reports = (Report(name="r0", number=1, version=version, times=times, gaps=(0.07, 0.09)),)
        return UpdateReport(
            version=version,
            reports=reports,
            missing=self.missing,
            not_carried=self.not_carried,
            seconds=0.2,
            store_seconds=0.05,
            size=10,
        )


def world(tmp_path: Path, *missing: str) -> tuple[Setting, Publisher, list[str]]:
    order: list[str] = []
    experience, tasks = LocalExperience(config()), LocalTasks()
    experience.calls = tasks.calls = order
    return Setting(config(), tmp_path, experience, tasks, LocalHub()), Publisher(order, *missing), order


def test_the_weights_a_run_begins_with_commit_nothing(tmp_path: Path) -> None:
    setting, publisher, order = world(tmp_path)
    Publish(setting, publisher)(0, {"w": torch.zeros(1)})
    assert order == ["engines 0.0", "advance 0", "publish 0.0"]
    assert setting.hub.published == [0]  # type: ignore[attr-defined]


def test_a_step_is_committed_before_any_engine_sees_its_weights(tmp_path: Path) -> None:
    setting, publisher, order = world(tmp_path)
    publish = Publish(setting, publisher)
    setting.experience.fill(0)  # type: ignore[attr-defined]
    assert setting.experience.take(Version(0, 0), 0.0) is not None
    publish(1, {})
    assert order == ["take 0.0", "commit 0.0", "engines 0.1", "advance 1", "publish 0.1"]


class OnDisk(LocalTasks):
    """Task buffers that write each step down, and nothing else."""

    def __init__(self, disk: CrashingDisk, order: list[str]) -> None:
        super().__init__()
        self.calls = order
        self._journal = journal_on(disk)
        self._journal.open()

    def advance(self, step: int) -> None:
        super().advance(step)
        self._journal.append(str(step).encode())


def test_what_a_full_disk_refuses_is_repeated_in_its_place_in_the_order(tmp_path: Path) -> None:
    """No engine sees weights whose step is not committed, and no slot comes free before buffers are told."""
    setting, publisher, order = world(tmp_path)
    books, shelves = CrashingDisk(), CrashingDisk()
    experience, hub = LocalExperience(config(), journal_on(books)), LocalHub()
    experience.calls = order
    setting = replace(setting, experience=experience, tasks=OnDisk(shelves, order), hub=hub)
    rooms = iter([None, books, None, shelves])

    def sleep(_seconds: float) -> None:
        if (mended := next(rooms)) is not None:
            mended.room = None

    publish = Publish(setting, publisher, sleep=sleep)
    experience.fill(0)
    assert experience.take(Version(0, 0), 0.0) is not None
    order.clear()
    books.room = shelves.room = 0
    publish(1, {})
    assert order == [*["commit 0.0"] * 3, "engines 0.1", *["advance 1"] * 3, "publish 0.1"]
    assert [line.partition(": the journal")[0] for line in hub.said] == ["handing on the weights of step 1 waits"] * 2
    assert hub.published == [1]


@pytest.mark.parametrize(("full", "told"), [("books", []), ("shelves", [1])])
def test_while_the_run_ends_a_full_disk_is_waited_for_a_minute_and_no_longer(
    tmp_path: Path, full: str, told: list[int]
) -> None:
    """What is not committed no engine gets. What is only not noted of weights that engines have, a resume notes."""
    setting, publisher, order = world(tmp_path)
    disks = {"books": CrashingDisk(), "shelves": CrashingDisk()}
    experience, hub = LocalExperience(config(), journal_on(disks["books"])), LocalHub()
    experience.calls = order
    setting = replace(setting, experience=experience, tasks=OnDisk(disks["shelves"], order), hub=hub)
    now = itertools.count(0.0, 20.0)
    publish = Publish(setting, publisher, lambda: next(now), lambda _seconds: None)
    experience.fill(0)
    assert experience.take(Version(0, 0), 0.0) is not None
    order.clear()
    disks[full].room, hub.stop = 0, "Ctrl-C"
    if told:
        publish(1, {})
        assert hub.said[-1].startswith("handing on the weights of step 1 is not noted, as the run ends: the journal ")
    else:
        with pytest.raises(JournalError, match="the disk is full"):
            publish(1, {})
        assert set(order) == {"commit 0.0"}
    assert hub.published == told
    assert hub.failed == []


def test_ranks_that_die_while_engines_get_the_weights_go_on_under_a_new_lineage(tmp_path: Path) -> None:
    class Dies(Publisher):
        def publish(self, version: Version, weights: Weights) -> UpdateReport:
            raise ConnectionError(f"the rank died after an engine had {version.lineage}.{version.step}")

    setting, publisher, order = world(tmp_path)
    source = RunSource(setting)
    source.begin(0)
    publish = Publish(setting, Dies(order))
    setting.experience.fill(0)  # type: ignore[attr-defined]
    assert source.take(0) is not None
    with pytest.raises(ConnectionError):
        publish(1, {})
    again = RunSource(setting)
    again.begin(0)
    assert again.lineage == 1, "0.1 is what an engine may hold: it must not be made twice"
    Publish(setting, publisher)(0, {})
    assert order[-3:] == ["engines 1.0", "advance 0", "publish 1.0"]


def test_after_a_resume_the_lineage_is_the_new_one(tmp_path: Path) -> None:
    setting, publisher, order = world(tmp_path)
    setting.experience.resume(Version(0, 0), 1)
    Publish(setting, publisher)(0, {})
    assert order[1:] == ["engines 1.0", "advance 0", "publish 1.0"]


def test_engines_that_did_not_confirm_are_named(tmp_path: Path) -> None:
    lost = "registry: it was restarted, and the order is lost"
    setting, publisher, _ = world(tmp_path, "r1 did not confirm weights within 420 s", "r2: torn", lost)
    Publish(setting, publisher)(0, {})
    assert setting.hub.said == [  # type: ignore[attr-defined]
        f"weights of step 0 are not everywhere: r1 did not confirm weights within 420 s; r2: torn; {lost}"
    ]
    told = Accumulator.from_bytes(setting.hub.added[0]).report()  # type: ignore[attr-defined]
    assert {key: value for key, value in told.items() if key.startswith("sync/failures/")} == {
        "sync/failures/r1": 1.0,
        "sync/failures/r2": 1.0,
        "sync/failures/registry": 1.0,
    }


def test_a_transport_that_fails_is_said_at_first_at_each_doubling_and_when_it_carries_again(tmp_path: Path) -> None:
    setting, publisher, _ = world(tmp_path)
    setting = replace(setting, hub=(hub := LocalHub()))
    publish = Publish(setting, publisher)
    for failing in (True, True, True, False, False, True):
        publisher.not_carried = "mine could not carry them (no route)" if failing else ""
        publish(0, {})
    failed = "weights of step 0: mine could not carry them (no route); replicas take the file"
    again = "weights of step 0 are carried by their transport again"
    assert hub.said == [failed, f"{failed} for 2 versions in a row", again, failed]
    assert [Accumulator.from_bytes(told).report()["sync/not_carried"] for told in hub.added] == [1, 1, 1, 0, 0, 1]


def test_what_an_update_cost_is_told(tmp_path: Path) -> None:
    _, publisher, _ = world(tmp_path)
    told = synced(publisher.publish(Version(0, 7), {})).report()
    assert told["sync/version/r0"] == 7.0
    assert abs(told["sync/pause/r0.max"] - 0.06) < 1e-9
    assert (told["sync/gap/r0.max"], told["sync/gap/r0.mean"]) == (0.09, 0.08)
    assert (told["sync/transfer.max"], told["sync/store.max"], told["sync/stage/r0.max"]) == (0.2, 0.05, 0.1)
    assert told["sync/bytes"] == 10.0


@pytest.mark.parametrize(
    ("every", "steps", "overtaken"),
    [(1, [0, 1, 2], [0, 0, 0]), (1, [3, 4, 7, 8], [0, 0, 2, 0]), (4, [0, 4, 12, 14], [0, 0, 1, 0])],
)
def test_versions_that_newer_ones_overtook_are_counted(
    every: int, steps: list[int], overtaken: list[int], tmp_path: Path
) -> None:
    """They waited while engines took the one before; the weights that a run ends with need no whole distance."""

    class Committed(LocalExperience):
        def commit(self, consumer: Version) -> None:
            """Whatever step it is."""

        def publish(self, version: Version) -> None:
            """Likewise."""

    setting, publisher, _ = world(tmp_path)
    hub = LocalHub()
    setting = replace(setting, experience=Committed(config()), hub=hub)
    setting.config.weights.publish_every = every
    publish = Publish(setting, publisher)
    for step in steps:
        publish(step, {})
    assert [Accumulator.from_bytes(told).report()["sync/overtaken"] for told in hub.added] == overtaken
