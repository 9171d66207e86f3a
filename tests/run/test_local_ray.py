"""What a killed driver left is removed by the next; what lives is left alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from azr.config import load
from azr.errors import AzrError
from azr.run.local_ray import PREFIX, RayLostError, check_ray, cores_of, driver_name, ray_of, remove_leftovers


def dead_process() -> int:
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return done.pid


def test_only_folders_of_dead_drivers_are_removed(tmp_path: Path) -> None:
    dead = tmp_path / f"{PREFIX}{dead_process()}-abc"
    living = tmp_path / f"{PREFIX}{os.getpid()}-abc"
    foreign = tmp_path / "ray"
    for folder in (dead, living, foreign):
        (folder / "session").mkdir(parents=True)
    assert remove_leftovers(tmp_path) == [dead]
    assert not dead.exists()
    assert living.exists()
    assert foreign.exists()


def test_sockets_of_dead_engines_are_removed(tmp_path: Path) -> None:
    dead, living = tmp_path / f"azr-engine-{dead_process()}", tmp_path / f"azr-engine-{os.getpid()}"
    for folder in (dead, living):
        folder.mkdir()
    assert remove_leftovers(tmp_path, "azr-engine-*") == [dead]
    assert living.exists()


def test_weights_of_dead_drivers_are_removed_from_shared_memory(tmp_path: Path) -> None:
    config = load(["tiny"])
    dead = tmp_path / f"azr-azr-tiny-abc123-{dead_process()}"
    living = tmp_path / f"azr-{driver_name(config)}"
    for folder in (dead, living):
        folder.mkdir()
    assert remove_leftovers(tmp_path, "azr-azr-*") == [dead]
    assert living.exists()


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
