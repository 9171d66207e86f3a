"""A new database of MLflow's is there whole or not there: makers that are killed, and two at once."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient

from azr.run.tracking import database
from azr.run.tracking.database import make_database

_MAKER = "import sys; from azr.run.tracking.database import make_database; make_database(sys.argv[1])"


_ASKS = """
from azr.run.tracking.database import client_of
client_of("http://127.0.0.1:9")
from mlflow.telemetry import get_telemetry_client
print(get_telemetry_client())
"""
#: By these MLflow takes a process for a test, of which it tells nothing anyhow; or is told to keep quiet, or where to
#: keep its file.
_MARKS = ("PYTEST", "CI", "GITHUB", "GITLAB", "JENKINS", "RUNBOT", "DO_NOT_TRACK", "MLFLOW", "XDG")


def maker(uri: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", _MAKER, uri], stderr=subprocess.DEVNULL)


def test_mlflow_reports_nothing_to_its_makers_and_keeps_no_file_in_the_users_home(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_MARKS)}
    asked = subprocess.run(
        [sys.executable, "-c", _ASKS],
        env={**environment, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert (asked.returncode, asked.stdout) == (0, "None\n"), asked.stderr
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_one_who_is_killed_in_the_midst_of_it_leaves_nothing_that_the_next_one_minds(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    aside = tmp_path / ".mlflow.db.new"
    first = maker(uri)
    try:
        deadline = time.monotonic() + 120
        while not aside.exists() or aside.stat().st_size == 0:
            assert first.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        first.kill()
        first.wait()
    assert not (tmp_path / "mlflow.db").exists(), "what is half made never bears its name"
    make_database(uri)
    assert [path.name for path in tmp_path.iterdir()] == ["mlflow.db"]
    assert [found.name for found in MlflowClient(tracking_uri=uri).search_experiments()] == ["Default"]


def test_two_who_make_it_at_once_have_one(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'runs' / 'mlflow.db'}"
    makers = [maker(uri), maker(uri)]
    assert [each.wait(240) for each in makers] == [0, 0]
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["mlflow.db"]
    assert len(MlflowClient(tracking_uri=uri).search_experiments()) == 1


def test_who_waits_too_long_for_another_says_for_what(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "WAIT_SECONDS", 0.0)
    with (tmp_path / ".mlflow.db.lock").open("a") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(TimeoutError, match=r"waited 0 s for who holds .*\.mlflow\.db\.lock to make it"):
            make_database(f"sqlite:///{tmp_path / 'mlflow.db'}")


def test_one_that_is_there_and_what_is_no_file_are_left_alone(tmp_path: Path) -> None:
    there = tmp_path / "mlflow.db"
    there.write_bytes(b"somebody's")
    for uri in (f"sqlite:///{there}", "http://tracking:5000", "postgresql://user@host/mlflow", "sqlite://"):
        make_database(uri)
    assert there.read_bytes() == b"somebody's"
    assert [path.name for path in tmp_path.iterdir()] == ["mlflow.db"]
