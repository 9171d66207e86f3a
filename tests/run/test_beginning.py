"""A run begins where nothing is in its way, and is taken up where it was left; what cannot start leaves no trace."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from azr.config import load
from azr.errors import AzrError
from azr.run.beginning import begin, take_up
from azr.run.folder import RunFolder


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return begin(load(["tiny"], [f"run.folder={tmp_path}", "run.name=one"]))


def test_a_run_that_is_begun_twice_keeps_its_configuration(tmp_path: Path) -> None:
    folder = begin(load(["tiny"], [f"run.folder={tmp_path}", "checkpoint.free_gb=0"]))
    with pytest.raises(AzrError, match="holds a run already"):
        begin(load(["tiny"], [f"run.folder={tmp_path}", "checkpoint.free_gb=0", "run.seed=99"]))
    assert load([str(folder.config)]).run.seed != 99


def test_a_folder_with_checkpoints_of_another_training_is_no_place_for_a_run(tmp_path: Path) -> None:
    """`azr sft` leaves such a folder: the newest of them would be taken up as the run's own."""
    (RunFolder.of(str(tmp_path), "tuned").checkpoints / "step_8").mkdir(parents=True)
    words = [f"run.folder={tmp_path}", "run.name=tuned", "checkpoint.free_gb=0"]
    with pytest.raises(AzrError, match="tuned holds checkpoints of something that is no run") as refused:
        begin(load(["tiny"], words))
    assert "another run.name" in refused.value.mend
    assert [path.name for path in (tmp_path / "tuned").iterdir()] == ["checkpoints"]


def test_a_resume_needs_the_room_that_a_start_needs(folder: RunFolder) -> None:
    card = folder.card()
    with pytest.raises(AzrError, match=r"checkpoint\.free_gb is 1e\+06"):
        take_up(load(["tiny"], ["checkpoint.free_gb=1000000"]), folder)
    assert folder.card() == card


def test_a_run_whose_model_is_not_there_is_not_begun_and_leaves_its_name_free(tmp_path: Path) -> None:
    """Its `model.path` could be changed by no resume, and its name be taken by no other run."""
    words = [f"run.folder={tmp_path}", "run.name=one"]
    with pytest.raises(AzrError, match="mistyped cannot be loaded") as refused:
        begin(load(["tiny"], [*words, f"model.path={tmp_path / 'mistyped'}"]))
    assert "model.path" in refused.value.mend
    assert not (tmp_path / "one").exists()
    assert begin(load(["tiny"], words)).exists


def test_a_run_whose_seeds_cannot_be_read_is_not_begun_and_leaves_nothing(tmp_path: Path) -> None:
    words = [f"run.folder={tmp_path}", "run.name=one", f"seeding.file={tmp_path / 'mistyped.jsonl'}"]
    with pytest.raises(AzrError, match=r"mistyped\.jsonl cannot be read"):
        begin(load(["tiny"], words))
    assert not (tmp_path / "one").exists()


def test_nor_is_it_taken_up_until_it_has_seeds_of_its_own(folder: RunFolder) -> None:
    card, config = folder.card(), load(["tiny"], ["seeding.file=mistyped.jsonl"])
    with pytest.raises(AzrError, match=r"mistyped\.jsonl cannot be read"):
        take_up(config, folder)
    assert folder.card() == card
    folder.seeds.write_text("their tasks are in the buffers: nobody will read them\n")
    take_up(config, folder)
    assert folder.card().starts == 2


def test_a_run_whose_ray_the_environment_names_is_neither_begun_nor_taken_up(
    folder: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    card = folder.card()
    with pytest.raises(AzrError, match="RAY_ADDRESS"):
        take_up(load(["tiny"]), folder)
    assert folder.card() == card
    with pytest.raises(AzrError, match="RAY_ADDRESS"):
        begin(load(["tiny"], [f"run.folder={tmp_path}", "run.name=another"]))
    assert not (tmp_path / "another").exists()


def test_a_killed_driver_told_a_step_after_its_last_note(folder: RunFolder) -> None:
    card = msgspec.structs.replace(folder.card(), elapsed_seconds=100.0, ended="finished", not_evaluated="late")
    folder.write(card)
    folder.metrics.write_text('{"step":7,"time/elapsed":101.5}\n{"step":8,"eval/tasks":4}\n{"step":9,"time/ela')
    take_up(load(["tiny"]), folder)
    card = folder.card()
    assert (card.elapsed_seconds, card.starts, card.ended, card.not_evaluated) == (101.5, 2, "", "")
