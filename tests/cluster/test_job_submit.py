"""`ray job submit` as docs/cluster.md tells it: the client in a folder of its own, azr from the installed wheel."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.cluster.head import JOB_SECONDS, Head, until

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def client(tmp_path: Path) -> Path:
    """What a user has at hand: a folder with a file of programs, and one with a configuration."""
    program = {"id": "one", "program": "def f(x):\n    return x * 2", "inputs": ["21"]}
    (tmp_path / "programs.jsonl").write_text(json.dumps(program) + "\n")
    endless = {"id": "endless", "program": "def f(x):\n    while True: pass", "inputs": ["1"]}
    (tmp_path / "endless.jsonl").write_text((json.dumps(endless) + "\n") * 50)
    (tmp_path / "my.yaml").write_text("run: {seed: 4711}\n")
    return tmp_path


def test_a_job_runs_azr_from_the_wheel_on_the_clients_files_and_its_output_is_followed(
    head: Head, client: Path, site: Path
) -> None:
    runtime = json.dumps({"env_vars": {"GREETING": "hello from the client"}})
    script = (
        "python -c \"import azr, os; print(azr.__file__); print(os.environ['GREETING'])\""
        " && azr config show --config my.yaml && azr exec programs.jsonl --workers 1"
    )
    words = ("submit", "--working-dir", ".", "--runtime-env-json", runtime, "--", "sh", "-c", script)
    done = head.ray(*words, cwd=client)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert str(site / "azr" / "__init__.py") in done.stdout
    assert "hello from the client" in done.stdout
    assert "seed: 4711" in done.stdout
    assert '{"id":"one","results":[{"status":"ok","output":"42"}]}' in done.stdout


def test_a_job_that_fails_says_why_and_gives_its_status(head: Head, client: Path) -> None:
    done = head.ray("submit", "--working-dir", ".", "--", "azr", "exec", "nowhere.jsonl", cwd=client)
    assert done.returncode == 1
    assert "cannot read nowhere.jsonl" in done.stdout
    assert "exit code 1" in done.stdout


def test_a_run_that_names_no_cluster_is_told_how_to_join_that_of_its_job(head: Head, client: Path) -> None:
    words = ("azr", "train", "--config", "tiny", f"run.folder={client}")
    done = head.ray("submit", "--working-dir", ".", "--", *words, cwd=client)
    assert done.returncode == 1
    port = head.gcs.rpartition(":")[2]  # on the address that the node has for its cluster
    assert re.search(rf"cluster\.address is empty, but Ray would follow RAY_ADDRESS=[\d.]+:{port}\b", done.stdout)
    assert "set cluster.address=auto" in done.stdout
    assert not (client / "tiny").exists()


@pytest.mark.soak
def test_a_run_that_asks_for_more_than_the_cluster_has_is_refused_when_no_node_has_joined_for_a_minute(
    head: Head, client: Path
) -> None:
    words = ("azr", "train", "--config", "tiny", f"run.folder={client}", "cluster.address=auto", "learner.ranks=3")
    done = head.ray("submit", "--working-dir", ".", "--", *words, cwd=client)
    assert done.returncode == 1
    assert "3 CPUs are asked for and 2 are in the cluster: 3 x 1 by the learner" in done.stdout
    assert "add nodes to it" in done.stdout


def test_a_job_stopped_on_the_way_leaves_no_process(head: Head, client: Path) -> None:
    mark = "azr-job-to-be-stopped"
    runtime = json.dumps({"env_vars": {"AZR_TEST_MARK": mark}})
    words = ("submit", "--no-wait", "--submission-id", "endless", "--working-dir", ".", "--runtime-env-json", runtime)
    azr = ("--", "azr", "exec", "endless.jsonl", "--workers", "2", "--timeout", "300")
    assert head.ray(*words, *azr, cwd=client).returncode == 0

    def workers() -> int:
        return sum("sandbox_wasm.worker" in line for line in head.processes_of_jobs(mark))

    until(lambda: workers() >= 2, JOB_SECONDS, "the start of two sandbox workers")
    assert len(head.processes_of_jobs(mark)) > 2

    assert head.ray("stop", "endless", cwd=client).returncode == 0
    until(lambda: not head.processes_of_jobs(mark), 60, "the end of all processes of the job")
    assert "was stopped" in head.ray("status", "endless", cwd=client).stdout


def test_a_client_without_the_clusters_token_is_turned_away(head: Head, client: Path, tmp_path: Path) -> None:
    other = tmp_path / "token"
    other.write_text("0" * 64)
    done = head.ray("list", cwd=client, RAY_AUTH_TOKEN_PATH=str(other))
    assert done.returncode != 0
    assert "42" not in done.stdout
