"""What a killed driver left is removed by the next; what lives is left alone."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import azr
from azr.config import load
from azr.errors import AzrError
from azr.run import local_ray
from azr.run.local_ray import (
    RayLostError,
    check_ray,
    cores_of,
    driver_name,
    ray_of,
    require_reachable,
)
from azr.run.stopping import StoppedError


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


class TestInASubmittedJob:
    """Ray merges its environment with ours and refuses a name that stands in both."""

    @pytest.mark.parametrize(
        ("job", "left"),
        [
            ({"env_vars": {"OMP_NUM_THREADS": "4", "HF_HOME": "/hub"}}, {"TOKENIZERS_PARALLELISM": "false"}),
            ({"env_vars": dict(local_ray.ENVIRONMENT)}, {}),
            ({"working_dir": "gcs://a.zip"}, local_ray.ENVIRONMENT),
            (None, local_ray.ENVIRONMENT),
        ],
    )
    def test_ray_is_told_of_no_variable_that_the_job_names(
        self, job: dict[str, object] | None, left: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        told: list[object] = []
        monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", json.dumps({"runtime_env": job, "metadata": {}}))
        monkeypatch.setattr("ray.init", lambda *, runtime_env, **_options: told.append(runtime_env))
        monkeypatch.setattr(local_ray, "_leave_serve", lambda: None)
        with ray_of(load(["tiny"], ["cluster.address=auto"]), tmp_path):
            pass
        assert told == [{"env_vars": left}]

    def test_another_conflict_is_not_told_as_a_wrong_address(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(**_options: object) -> None:
            raise ValueError("Failed to merge the Job's runtime env {} with a ray.init's runtime env {}")

        monkeypatch.setattr("ray.init", refuse)
        with (
            pytest.raises(AzrError, match=r"the job's runtime environment and azr's do not agree: Failed") as told,
            ray_of(load(["tiny"], ["cluster.address=auto"]), tmp_path),
        ):
            pass
        assert "OMP_NUM_THREADS" in told.value.mend


def test_where_the_temporary_folder_has_a_long_path_rays_sockets_still_find_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (long := tmp_path / ("long" * 20)).mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    folder = local_ray._folder_of_its_own()
    try:
        assert len(f"{folder}/session_2026-11-28_07-20-29_123456_4194304/sockets/plasma_store") <= 107
    finally:
        folder.rmdir()


@pytest.mark.parametrize("mend", [[], [local_ray.RESUMED]], ids=["a short job", "a run"])
def test_who_is_killed_is_told_by_its_reaper_how_to_go_on(
    mend: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is nothing to resume of an evaluation, or of seeds."""
    told: list[str] = []

    def reaping(*words: Any) -> contextlib.AbstractContextManager[SimpleNamespace]:
        told.append(words[-1])
        return contextlib.nullcontext(SimpleNamespace())

    monkeypatch.setattr("ray.init", lambda **_options: None)
    monkeypatch.setattr(local_ray, "remove_abandoned_temporary", lambda: None)
    monkeypatch.setattr(local_ray, "reaping", reaping)
    with ray_of(load(["tiny"]), tmp_path, [], *mend):
        pass
    assert told == (mend or ["give the command again"])


class TestRaysOwnLogs:
    """They are kept for who wants to know why a run failed."""

    @pytest.fixture(autouse=True)
    def no_ray(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        def init(*, _temp_dir: str, **_options: object) -> None:
            logs = Path(_temp_dir) / "session_latest" / "logs"
            logs.mkdir(parents=True)
            (logs / f"worker-{Path(_temp_dir).name}.out").write_text("words")

        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
        (tmp_path / "temporary").mkdir()
        monkeypatch.setattr("ray.init", init)
        monkeypatch.setattr(local_ray, "remove_abandoned_temporary", lambda: None)
        monkeypatch.setattr(local_ray, "reaping", lambda *_what: contextlib.nullcontext(SimpleNamespace()))

    def ends(self, logs: Path, *errors: BaseException) -> list[str]:
        """Names of what is kept by the first of these, and the second while things are taken down for it."""
        with contextlib.suppress(AzrError, StoppedError, KeyboardInterrupt), contextlib.ExitStack() as stack:
            stack.enter_context(ray_of(load(["tiny"]), logs))
            for error in errors[1:]:
                stack.callback(self._raise, error)
            for error in errors[:1]:
                raise error
        return sorted(path.name for path in (logs / "ray").glob("*"))

    def _raise(self, error: BaseException) -> None:
        raise error

    def test_of_a_run_that_failed_take_the_place_of_those_of_an_earlier_driver(self, tmp_path: Path) -> None:
        first = self.ends(tmp_path, AzrError("no engine stands"))
        second = self.ends(tmp_path, AzrError("no engine stands"))
        assert (len(first), len(second)) == (1, 1)
        assert first != second

    @pytest.mark.parametrize(
        "errors",
        [(), (StoppedError("Ctrl-C"),), (KeyboardInterrupt(),), (StoppedError("Ctrl-C"), KeyboardInterrupt())],
        ids=["ended by itself", "stopped", "insisted at once", "insisted"],
    )
    def test_of_one_that_was_only_told_to_end_are_not_kept(
        self, errors: tuple[BaseException, ...], tmp_path: Path
    ) -> None:
        assert self.ends(tmp_path, *errors) == []

    def test_are_kept_of_one_that_failed_though_somebody_did_not_wait_for_its_end(self, tmp_path: Path) -> None:
        assert len(self.ends(tmp_path, AzrError("no engine stands"), KeyboardInterrupt())) == 1


class TestWhereTheEnvironmentNamesACluster:
    """As in every submitted job, and for users who submit them."""

    def test_a_ray_of_the_runs_own_is_refused_with_both_ways_out(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
        monkeypatch.setattr("ray.init", lambda **_options: pytest.fail("Ray was started"))
        with (
            pytest.raises(AzrError, match=r"address is empty, but Ray would follow RAY_ADDRESS=10\.0\.0\.1:") as told,
            ray_of(load(["tiny"]), tmp_path),
        ):
            pass
        assert told.value.mend.startswith("set cluster.address=auto to be part of that cluster; unset RAY_ADDRESS")

    @pytest.mark.parametrize("address", ["", "auto"])
    @pytest.mark.parametrize("named", ["http://head:8265", "ray://head:10001"])
    def test_what_serves_jobs_or_clients_can_be_joined_by_no_run(
        self, monkeypatch: pytest.MonkeyPatch, named: str, address: str
    ) -> None:
        monkeypatch.setenv("RAY_ADDRESS", named)
        with pytest.raises(AzrError, match=f"RAY_ADDRESS={named}") as told:
            require_reachable(address)
        assert told.value.mend.startswith("submit azr with ray job submit and cluster.address=auto")

    @pytest.mark.parametrize(
        ("named", "address"),
        [("", ""), ("local", ""), ("10.0.0.1:6379", "auto"), ("http://head:8265", "head:6379"), ("", "auto")],
    )
    def test_all_else_is_ray_s_own_business(self, monkeypatch: pytest.MonkeyPatch, named: str, address: str) -> None:
        monkeypatch.setenv("RAY_ADDRESS", named)
        require_reachable(address)


IN_A_RAY_OF_ITS_OWN = """
import sys
from pathlib import Path
import ray
from azr.config import load
from azr.run.local_ray import ray_of

with ray_of(load(["tiny"], ["cluster.object_store_mb=100"]), Path("logs")):
    print(ray.get(ray.remote(lambda: sys.executable).remote(), timeout=60))
"""


def test_a_checkout_may_lie_in_a_folder_with_blanks_in_its_name(tmp_path: Path) -> None:
    """Ray puts the path of the interpreter into a line for a shell, and leaves it as it is."""
    folder = tmp_path / "my clone's home"
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    [packages] = folder.glob("lib/python*/site-packages")
    there = [str(Path(azr.__file__).parents[1]), *(path for path in sys.path if path.endswith("site-packages"))]
    (packages / "there.pth").write_text("\n".join(there) + "\n")
    done = subprocess.run(
        [python, "-c", IN_A_RAY_OF_ITS_OWN], cwd=folder, capture_output=True, text=True, timeout=180, check=False
    )
    assert (done.returncode, done.stdout) == (0, f"{python}\n"), done.stderr


def test_a_ray_whose_end_is_interrupted_is_ended_by_the_reaper(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody insists while it shuts down: with the driver gone, nobody else would."""

    class Reaper:
        def end_all(self) -> None:
            ended.append("all")

    def shutdown() -> None:
        raise KeyboardInterrupt

    ended: list[object] = []
    monkeypatch.setattr("ray.shutdown", shutdown)
    monkeypatch.setattr("atexit.register", ended.append)
    with pytest.raises(KeyboardInterrupt):
        local_ray._shut_down(Reaper())  # type: ignore[arg-type]
    assert ended == ["all", local_ray._leave]


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
