"""What a killed driver left is removed by the next; what lives is left alone."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from azr.config import load
from azr.errors import AzrError
from azr.run.local_ray import (
    PREFIX,
    QUIET_SECONDS,
    RayLostError,
    check_ray,
    cores_of,
    driver_name,
    ray_of,
    remove_leftovers,
)


def dead_process() -> int:
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return done.pid


def later() -> float:
    return time.time() + QUIET_SECONDS + 1.0


def test_only_folders_of_dead_drivers_are_removed(tmp_path: Path) -> None:
    dead = tmp_path / f"{PREFIX}{dead_process()}-abc"
    living = tmp_path / f"{PREFIX}{os.getpid()}-abc"
    foreign = tmp_path / "ray"
    for folder in (dead, living, foreign):
        (folder / "session").mkdir(parents=True)
    assert remove_leftovers(tmp_path, clock=later) == [dead]
    assert not dead.exists()
    assert living.exists()
    assert foreign.exists()


def test_sockets_of_dead_engines_are_removed(tmp_path: Path) -> None:
    dead, living = tmp_path / f"azr-engine-{dead_process()}", tmp_path / f"azr-engine-{os.getpid()}"
    for folder in (dead, living):
        folder.mkdir()
    assert remove_leftovers(tmp_path, "azr-engine-*", later) == [dead]
    assert living.exists()


def test_weights_of_dead_drivers_are_removed_from_shared_memory(tmp_path: Path) -> None:
    config = load(["tiny"])
    dead = tmp_path / f"azr-azr-tiny-abc123-{dead_process()}"
    living = tmp_path / f"azr-{driver_name(config)}"
    for folder in (dead, living):
        folder.mkdir()
    assert remove_leftovers(tmp_path, "azr-azr-*", later) == [dead]
    assert living.exists()


def test_what_changed_lately_may_be_of_a_driver_in_another_container_and_stays(tmp_path: Path) -> None:
    """Whose process id says nothing here."""
    folder = tmp_path / f"{PREFIX}{dead_process()}-abc"
    log = folder / "session" / "logs" / "raylet.out"
    log.parent.mkdir(parents=True)
    log.write_text("")
    for path in (log, *log.parents[:3]):
        os.utime(path, (1000.0, 1000.0))
    os.utime(log, (5000.0, 5000.0))
    assert remove_leftovers(tmp_path, clock=lambda: 5000.0 + QUIET_SECONDS) == []
    assert log.exists()
    assert remove_leftovers(tmp_path, clock=lambda: 5001.0 + QUIET_SECONDS) == [folder]
    assert not folder.exists()


def test_a_user_without_a_name_is_known_by_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that was started with --user."""
    one, two = tmp_path / f"{PREFIX}{dead_process()}-a", tmp_path / f"{PREFIX}{dead_process()}-b"
    for folder in (one, two):
        folder.mkdir()
    monkeypatch.setattr(Path, "owner", lambda _: pytest.fail("no such user"))
    monkeypatch.setattr(os, "getuid", lambda: one.stat().st_uid + 1)
    assert remove_leftovers(tmp_path, clock=later) == []
    monkeypatch.undo()
    monkeypatch.setattr(Path, "owner", lambda _: pytest.fail("no such user"))
    assert sorted(remove_leftovers(tmp_path, clock=later)) == sorted([one, two])


def test_what_another_run_removes_meanwhile_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / f"{PREFIX}{dead_process()}-abc"
    folder.mkdir()

    def exists(_: int) -> bool:
        folder.rmdir()
        return False

    monkeypatch.setattr("azr.run.local_ray.psutil.pid_exists", exists)
    assert remove_leftovers(tmp_path, clock=later) == []


class Node:
    """Ray's record of the processes it started, with some of them dead."""

    def __init__(self, *dead: str) -> None:
        self._dead = dead

    def dead_processes(self) -> list[tuple[str, None]]:
        return [(kind, None) for kind in self._dead]


@pytest.mark.parametrize(
    ("dead", "named"),
    [
        (("raylet",), "node manager"),
        (("log_monitor", "gcs_server"), "control store"),
        (("gcs_server", "raylet"), "and"),
    ],
)
def test_a_ray_that_died_is_named(monkeypatch: pytest.MonkeyPatch, dead: tuple[str, ...], named: str) -> None:
    monkeypatch.setattr("ray._private.worker._global_node", Node(*dead))
    with pytest.raises(RayLostError, match=named):
        check_ray()


def test_a_ray_lives_without_its_helpers_and_one_that_was_joined_is_not_ours_to_watch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for node in (Node("log_monitor", "dashboard"), Node(), None):
        monkeypatch.setattr("ray._private.worker._global_node", node)
        check_ray()


def test_a_cluster_that_cannot_be_joined_is_told_by_its_key(tmp_path: Path) -> None:
    with (
        pytest.raises(AzrError, match=r"cluster\.address: no cluster can be joined at 'nonsense'") as refused,
        ray_of(load(["tiny"], ["cluster.address=nonsense"]), tmp_path),
    ):
        pass
    assert "HOST:PORT" in refused.value.mend


def test_a_cluster_that_does_not_answer_is_told_likewise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    def nobody(**_options: object) -> None:
        raise ConnectionError("Could not find any running Ray instance.\nPlease specify one")

    monkeypatch.setattr(ray, "init", nobody)
    with (
        pytest.raises(AzrError, match="joined at 'auto': Could not find any running Ray instance"),
        ray_of(load(["tiny"], ["cluster.address=auto"]), tmp_path),
    ):
        pass


def test_each_driver_has_a_name_of_its_own_even_for_runs_of_one_name(tmp_path: Path) -> None:
    here, there = load(["tiny"]), load(["tiny"], [f"run.folder={tmp_path}"])
    assert driver_name(here) != driver_name(there)
    assert driver_name(here).endswith(f"-{os.getpid()}")


def test_ray_has_the_cores_that_the_parts_ask_for_at_least() -> None:
    assert cores_of(load(["tiny"]), available=2) == 2
    assert cores_of(load(["tiny"]), available=64) == 64
    assert cores_of(load(["tiny"], ["learner.ranks=4"]), available=2) == 5
    assert cores_of(load(["tiny"], ["rollout.replicas=2", "rollout.cpus_per_replica=1.5"]), available=2) == 5
    assert cores_of(load(["tiny"], ["cluster.cpus=1"]), available=2) == 1, "who names a number gets it"


def test_engines_of_both_roles_standbys_and_those_that_scaling_may_add_need_cores_too() -> None:
    words = ["rollout.cpus_per_replica=1", "rollout.replicas=2", "rollout.standby=1"]
    assert cores_of(load(["tiny"], words), available=2) == 5, "the rank, 2 engines, a standby, and one to spare"
    assert cores_of(load(["tiny"], [*words, "rollout.max_replicas=4"]), available=2) == 7
    words += ["rollout.separate_roles=true", "rollout.proposer_replicas=3"]
    assert cores_of(load(["tiny"], words), available=2) == 9, "3 more, with a standby of their own"
