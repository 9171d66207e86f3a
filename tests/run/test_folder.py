"""A run's folder: made once, known by its card, never taken over by accident."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from azr.errors import AzrError
from azr.run.folder import Card, RunFolder


def test_a_new_run_has_its_folders_and_its_card(tmp_path: Path) -> None:
    folder = RunFolder.of(str(tmp_path), "one")
    assert not folder.exists
    folder.create(Card(name="one", started=5.0))
    assert folder.exists
    assert {path.name for path in folder.root.iterdir()} == {"logs", "journal", "checkpoints", "run.json"}
    assert folder.card() == Card(name="one", started=5.0, starts=1, mlflow="", elapsed_seconds=0.0, ended="")


def test_a_run_that_is_there_is_not_begun_again(tmp_path: Path) -> None:
    folder = RunFolder.of(str(tmp_path), "one")
    folder.create(Card(name="one", started=0.0))
    with pytest.raises(AzrError, match="holds a run already") as refused:
        folder.create(Card(name="one", started=1.0))
    assert f"--resume {folder.root}" in refused.value.mend
    assert folder.card().started == 0.0


def test_the_card_is_replaced_as_one_act(tmp_path: Path) -> None:
    folder = RunFolder.of(str(tmp_path), "one")
    folder.create(Card(name="one", started=0.0))
    folder.write(msgspec.structs.replace(folder.card(), mlflow="abc", starts=2))
    assert (folder.card().mlflow, folder.card().starts) == ("abc", 2)
    assert [path.name for path in folder.root.glob("*.part")] == []


def test_a_run_has_one_driver_at_a_time(tmp_path: Path) -> None:
    folder = RunFolder.of(str(tmp_path), "one")
    folder.create(Card(name="one", started=0.0))
    with folder.held():
        with pytest.raises(AzrError, match=rf"is in use: process {os.getpid()} on .* writes into it"), folder.held():
            pass
        with pytest.raises(AzrError, match="is in use"), RunFolder(folder.root).held():
            pass
    with folder.held():
        pass


def test_a_driver_that_was_killed_holds_nothing(tmp_path: Path) -> None:
    folder = RunFolder.of(str(tmp_path), "one")
    folder.create(Card(name="one", started=0.0))
    script = (
        "import pathlib, sys, time; from azr.run.folder import RunFolder\n"
        "with RunFolder(pathlib.Path(sys.argv[1])).held():\n    print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(folder.root)], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(AzrError, match=f"process {other.pid} "), folder.held():
            pass
        other.kill()
    with folder.held():
        pass


def test_what_is_no_run_says_so(tmp_path: Path) -> None:
    with pytest.raises(AzrError, match="holds no run"):
        RunFolder(tmp_path).card()
    with pytest.raises(AzrError, match="holds no run"), RunFolder(tmp_path).held():
        pass


@pytest.mark.parametrize("written", [b"{", b'{"name": "\xff", "started": 0}'], ids=["no JSON", "no UTF-8"])
def test_a_card_that_cannot_be_read_says_so(tmp_path: Path, written: bytes) -> None:
    (tmp_path / "run.json").write_bytes(written)
    with pytest.raises(AzrError, match=r"run\.json cannot be read"):
        RunFolder(tmp_path).card()


def test_paths_do_not_depend_on_where_the_process_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = RunFolder.of("runs", "one")
    monkeypatch.chdir("/")
    assert folder.metrics == tmp_path / "runs" / "one" / "metrics.jsonl"
