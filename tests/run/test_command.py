"""`azr train` before anything starts: plans, refusals, resumed configurations."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from azr.cli import main as cli
from azr.config import Config, compose, load, write_resolved
from azr.errors import AzrError
from azr.held_folders import LOCK, hold
from azr.run.command import fitting
from azr.run.folder import Card, RunFolder
from learner.checkpoint import MARKER, LearnerState, checkpoint_folder


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    config = load(["tiny"], [f"run.folder={tmp_path}", "run.name=one"])
    folder = RunFolder.of(str(tmp_path), "one")
    folder.create(Card(name="one", started=0.0))
    write_resolved(config, folder.root)
    return folder


def test_a_dry_run_prints_the_plan_and_makes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["train", "--config", "tiny", "--dry-run"]) == 0
    assert "at most 4 steps between a sample's oldest token" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_plans_the_memory_of_a_named_card(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["train", "--config", "qwen2.5-coder-3b", "--dry-run"]) == 0
    assert "memory plan  Qwen/Qwen2.5-Coder-3B" in capsys.readouterr().out


def test_a_dry_run_of_an_unknown_model_says_that_its_memory_is_not_planned(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["train", "--config", "gpu", "--dry-run", "model.path=of/a-hub", "run.name=mine"]) == 0
    assert "memory     not planned: the shape of 'of/a-hub' is not known" in capsys.readouterr().out


def test_a_plan_that_does_not_fit_is_refused_with_its_mends(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "--config", "qwen2.5-coder-14b", "--dry-run", "learner.ranks=1", "cluster.gpu=L40S"]
    assert cli.main(words) == cli.EXIT_ERROR
    assert "mend: " in capsys.readouterr().err


def test_what_does_not_fit_is_refused_before_anything_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "--config", "qwen2.5-coder-14b", f"run.folder={tmp_path}", "learner.ranks=1", "cluster.gpu=L40S"]
    assert cli.main(words) == cli.EXIT_ERROR
    told = capsys.readouterr().err
    assert "a learner rank wants" in told
    assert "cluster.gpu=''" in told
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("preset", "words", "told"),
    [
        ("tiny", [], ""),
        ("tiny", ["cluster.gpu=L4"], "memory     planned to fit 2 x L4 (azr"),
        ("qwen2.5-7b", [], "memory     planned to fit 4 x H100-80GB (azr"),
        ("qwen2.5-7b", ["cluster.gpu=''"], ""),
        ("qwen2.5-7b", ["model.path=/nowhere"], "memory     not planned: the shape of '/nowhere' is not known"),
        ("qwen2.5-7b", ["cluster.gpu=Z9"], "memory     not planned: no GPU type is called 'Z9'"),
    ],
)
def test_a_run_says_in_a_line_whether_it_fits_the_cards_that_are_named(
    preset: str, words: list[str], told: str
) -> None:
    lines = fitting(load([preset], words))
    assert len(lines) == bool(told)
    assert all(line.startswith(told) for line in lines)


def test_a_run_needs_a_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["train", "--dry-run"]) == cli.EXIT_ERROR
    assert "no model is named" in capsys.readouterr().err


def test_a_run_that_is_there_is_not_begun_again(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "--config", "tiny", f"run.folder={run.root.parent}", "run.name=one"]
    assert cli.main(words) == cli.EXIT_ERROR
    assert f"azr train --resume {run.root}" in capsys.readouterr().err


def test_what_a_killed_run_left_is_removed_before_room_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or versions that nobody needs would refuse every later run on that machine."""
    versions = tmp_path / "weights"
    left = versions / "azr-azr-killed"
    hold(left).close()
    for path in (left / LOCK, left):
        os.utime(path, (1000.0, 1000.0))
    seen: list[Path] = []

    def refused(*_: object, **__: object) -> None:
        seen.extend(versions.iterdir())
        raise AzrError("no room", "make room")

    monkeypatch.setattr("azr.run.command.require_room", refused)
    words = ["train", "--config", "tiny", f"run.folder={tmp_path}", f"weights.folder={versions}"]
    assert cli.main(words) == cli.EXIT_ERROR
    assert seen == []
    assert not left.exists()


def test_a_resume_shows_what_is_changed(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["train", "--resume", str(run.root), "run.minutes=60", "--dry-run"]) == 0
    assert "changed    run.minutes: 10.0 -> 60.0" in capsys.readouterr().out


def test_a_resume_may_leave_out_a_plug_in_that_is_gone(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    write_resolved(compose([str(run.config)], ["tracking.plugins=[gone]"]), run.root)
    assert cli.main(["train", "--resume", str(run.root), "--dry-run"]) == cli.EXIT_ERROR
    assert "tracking.plugins: nothing is called 'gone'" in capsys.readouterr().err
    assert cli.main(["train", "--resume", str(run.root), "tracking.plugins=[]", "--dry-run"]) == 0
    assert "changed    tracking.plugins: ['gone'] -> []" in capsys.readouterr().out


def test_a_resume_refuses_what_would_be_another_experiment(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["train", "--resume", str(run.root), "algorithm=paper", "--dry-run"]) == cli.EXIT_ERROR
    assert "staleness.max_staleness: 4 -> 0" in capsys.readouterr().err


def test_a_resume_takes_no_preset(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["train", "--resume", str(run.root), "--config", "tiny"]) == cli.EXIT_USAGE
    assert "leave --config out" in capsys.readouterr().err


def test_a_finished_run_is_not_started_again_for_nothing(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    run.write(msgspec.structs.replace(run.card(), ended="finished", elapsed_seconds=600.0))
    words = ["train", "--resume", str(run.root), "--dry-run"]
    assert cli.main(words) == cli.EXIT_ERROR
    told = capsys.readouterr().err
    assert "is finished" in told
    assert f"azr train --resume {run.root} run.minutes=20" in told
    assert cli.main([*words, "rollout.replicas=2"]) == cli.EXIT_ERROR, "more engines are no more steps"
    assert cli.main([*words, "run.minutes=20"]) == 0
    assert cli.main([*words, "run.steps=500", "run.minutes=0"]) == 0


@pytest.mark.parametrize(
    ("words", "more"),
    [
        ([], "run.steps=10"),
        (["run.minutes=2"], "run.minutes=2 run.steps=10"),
        (["run.minutes=0.1"], "run.steps=10 run.minutes=1"),
        (["run.steps=6"], ""),
    ],
)
def test_a_finished_run_goes_on_once_each_bound_that_it_has_reached_is_raised(
    run: RunFolder, words: list[str], more: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Five steps in ten seconds, of a run that might have taken ten minutes."""
    write_resolved(compose([str(run.config)], ["run.steps=5"]), run.root)
    run.write(msgspec.structs.replace(run.card(), ended="finished", elapsed_seconds=10.0))
    at = checkpoint_folder(run.checkpoints, 5)
    at.mkdir()
    (at / MARKER).write_bytes(msgspec.json.encode(LearnerState(5, 5, "model")))
    assert cli.main(["train", "--resume", str(run.root), "--dry-run", *words]) == (cli.EXIT_ERROR if more else 0)
    assert (f"azr train --resume {run.root} {more};" if more else "") in capsys.readouterr().err


def test_a_run_keeps_a_folder_of_a_model_by_its_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be resumed from another working directory, and `model.path` cannot be changed then."""

    def begin(config: Config) -> RunFolder:
        kept.append(config.model.path)
        raise AzrError("this is enough")

    kept: list[str] = []
    monkeypatch.setattr("azr.run.beginning.begin", begin)
    monkeypatch.chdir(tmp_path)
    for folder in ("mine", "tiny"):
        (tmp_path / folder).mkdir()
    for named in ("mine", "tiny", "of/a-hub"):
        words = ["train", "--config", "tiny", f"model.path={named}", "checkpoint.free_gb=0"]
        assert cli.main(words) == cli.EXIT_ERROR
    assert kept == [str(tmp_path / "mine"), "tiny", "of/a-hub"]


def test_another_spelling_of_a_models_folder_is_no_change(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("mine", "other"):
        (tmp_path / folder).mkdir()
    (tmp_path / "link").symlink_to("mine")
    monkeypatch.chdir(tmp_path)
    write_resolved(compose([str(run.config)], ["model.path=mine"]), run.root)
    assert cli.main(["train", "--resume", str(run.root), "model.path=other/../link", "--dry-run"]) == 0
    assert "changed" not in capsys.readouterr().out
    assert cli.main(["train", "--resume", str(run.root), "model.path=other", "--dry-run"]) == cli.EXIT_ERROR
    assert f"model.path: {tmp_path / 'mine'} -> {tmp_path / 'other'}" in capsys.readouterr().err


def test_a_run_may_have_moved(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    moved = run.root.rename(run.root.parent / "two")
    assert cli.main(["train", "--resume", str(moved), "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert str(moved) in shown
    assert "changed" not in shown, "where it is now is no change that anybody asked for"


@pytest.mark.parametrize("name", ["0123", "1e5", "1:30", "a: b", "[x", "x # y", "null"])
def test_a_run_may_have_moved_to_where_yaml_would_read_something_else(
    run: RunFolder, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (run.root.parent / name).mkdir()
    moved = run.root.rename(run.root.parent / name / name)
    assert cli.main(["train", "--resume", str(moved), "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert str(moved) in shown
    assert "changed" not in shown


@pytest.mark.parametrize("word", ["run.folder=/elsewhere", "run.name=other"])
def test_a_resumed_run_cannot_be_told_to_be_elsewhere(
    run: RunFolder, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["train", "--resume", str(run.root), word, "--dry-run"]) == cli.EXIT_USAGE
    assert "move or rename the folder" in capsys.readouterr().err


def test_what_is_no_run_cannot_be_resumed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["train", "--resume", str(tmp_path)]) == cli.EXIT_ERROR
    assert "holds no run" in capsys.readouterr().err


def test_a_resume_of_a_run_that_is_alive_is_refused_and_leaves_it_as_it_is(
    run: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    with run.held():
        before = {path: path.read_bytes() for path in run.root.rglob("*") if path.is_file()}
        assert cli.main(["train", "--resume", str(run.root), "run.minutes=60"]) == cli.EXIT_ERROR
        assert {path: path.read_bytes() for path in run.root.rglob("*") if path.is_file()} == before
    assert f"is in use: process {os.getpid()} on" in capsys.readouterr().err


def test_a_full_disk_is_met_before_anything_starts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "--config", "tiny", f"run.folder={tmp_path}", "checkpoint.free_gb=1000000"]
    assert cli.main(words) == cli.EXIT_ERROR
    assert "checkpoint.free_gb is 1e+06" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
