"""A run is exported where its base model lies elsewhere than on the machine that trained it."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from azr.cli.serve import model_folder
from azr.errors import AzrError
from azr.run.exporting import base_of, export_run, plain_tokens_of
from azr.run.session import model_of
from azr.tiny import shipped
from azr.tokens import tokenizer_digest
from learner import checkpoint
from learner.checkpoint import LearnerState
from learner.export import read_weights
from tests.learner.tiny import make_trainer, save_tiny_model
from tests.test_tokens import save_tokenizer

#: Where another installation keeps the embedded model.
ELSEWHERE = "/opt/elsewhere/site-packages/azr/tiny/model"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of the embedded model, from another machine, in a run's folder without a configuration."""
    run = tmp_path_factory.mktemp("runs") / "first"
    checkpoint.save(run / "checkpoints", make_trainer(shipped.folder()), LearnerState(3, 12, ELSEWHERE))
    return run


@pytest.fixture
def run(trained: Path) -> Path:
    (trained / "config.yaml").write_text("model: {path: tiny}\n")
    return trained


def newest(run: Path) -> Path:
    return run / "checkpoints" / "step_00000003"


def test_the_embedded_model_is_found_in_this_installation(run: Path) -> None:
    assert base_of(newest(run)) == (str(shipped.folder()), "tiny")


def test_a_base_that_is_where_it_was_is_read_there_and_named_as_configured(run: Path, tmp_path: Path) -> None:
    (tmp_path / "learner.json").write_bytes(
        (newest(run) / "learner.json").read_bytes().replace(ELSEWHERE.encode(), str(tmp_path).encode())
    )
    (tmp_path / "config.yaml").write_text("model: {path: tiny}\n")
    assert base_of(tmp_path) == (str(tmp_path), "tiny"), "a checkpoint alone has a copy of the configuration"


def test_weights_of_another_vocabulary_are_not_read_with_the_one_there_is_now(run: Path) -> None:
    """The embedded model changes with the version; its shapes stay."""
    state = checkpoint.read_state(newest(run))
    marker = newest(run) / "learner.json"
    before = marker.read_bytes()
    try:
        marker.write_bytes(msgspec.json.encode(msgspec.structs.replace(state, tokenizer="0123456789abcdef")))
        with pytest.raises(AzrError, match=r"was trained with another tokenizer than .* has now"):
            base_of(newest(run))
        own = tokenizer_digest(str(shipped.folder()))
        marker.write_bytes(msgspec.json.encode(msgspec.structs.replace(state, tokenizer=own)))
        assert base_of(newest(run))[1] == "tiny"
    finally:
        marker.write_bytes(before)


def test_a_name_is_left_to_those_who_download_it(run: Path) -> None:
    (run / "config.yaml").write_text("model: {path: Qwen/Qwen2.5-Coder-3B}\n")
    assert base_of(newest(run)) == ("Qwen/Qwen2.5-Coder-3B", "Qwen/Qwen2.5-Coder-3B")


def test_without_a_configuration_the_learners_word_is_all_there_is(run: Path) -> None:
    (run / "config.yaml").unlink()
    assert base_of(newest(run)) == (ELSEWHERE, ELSEWHERE)


def test_export_serve_and_evaluation_of_a_run_from_elsewhere(run: Path, tmp_path: Path) -> None:
    out = export_run(run, tmp_path / "out", dtype="float32")
    weights = read_weights(newest(run), checkpoint.read_state(newest(run)))
    exported = AutoModelForCausalLM.from_pretrained(out).state_dict()
    assert all(exported[name].equal(value) for name, value in weights.items())
    assert AutoTokenizer.from_pretrained(out)("def f(x):")["input_ids"]
    assert "Trained with azr from `tiny`: 3 learner steps" in (out / "README.md").read_text()
    with model_of(str(run)) as folder:
        assert (Path(folder) / "model.safetensors").exists()
    assert (Path(model_folder(str(run), tmp_path / "served")) / "model.safetensors").exists()


def test_plain_tokens_are_the_runs_or_else_the_checkpoints_own_and_need_no_plug_in(run: Path, tmp_path: Path) -> None:
    assert plain_tokens_of(newest(run)) == []
    (run / "config.yaml").write_text("model: {plain_tokens: [<a>]}\ntracking: {plugins: [nowhere]}\n")
    assert plain_tokens_of(newest(run)) == ["<a>"]
    (tmp_path / "config.yaml").write_text("model: {plain_tokens: [<b>]}\n")
    assert plain_tokens_of(tmp_path) == ["<b>"], "one that was copied away has its configuration with it"


def test_what_is_served_spells_as_the_run_did(tmp_path: Path) -> None:
    base = save_tiny_model(tmp_path / "base")
    save_tokenizer(base)
    run = tmp_path / "run"
    checkpoint.save(run / "checkpoints", make_trainer(base), LearnerState(1, 4, str(base)))
    (run / "config.yaml").write_text("model: {plain_tokens: [<think>]}\n")
    served = AutoTokenizer.from_pretrained(model_folder(str(run), tmp_path / "served"))
    assert len(served("<think>")["input_ids"]) > 1


@pytest.mark.parametrize("harm", ["torn", "gone", "garbage"])
def test_a_damaged_checkpoint_is_told_by_its_name(trained: Path, tmp_path: Path, harm: str) -> None:
    damaged = tmp_path / "checkpoints" / "step_00000003"
    shutil.copytree(newest(trained), damaged)
    shard = next(damaged.glob("*.distcp"))
    if harm == "gone":
        shard.unlink()
    elif harm == "torn":
        shard.write_bytes(shard.read_bytes()[:100])
    else:
        (damaged / ".metadata").write_bytes(b"garbage")
    with pytest.raises(AzrError, match="step_00000003 is damaged: ") as told:
        read_weights(damaged, checkpoint.read_state(damaged))
    assert "older checkpoint" in told.value.mend
