"""Exported folders hold exactly the checkpoint's weights, whoever wrote it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from azr.cli.main import EXIT_INTERRUPTED, main
from azr.config.sections.learner import LearnerConfig, LoraConfig
from azr.errors import AzrError
from learner import checkpoint
from learner.checkpoint import LearnerState
from learner.export import copy_companions, export, find_checkpoint, let_others_read, model_card
from learner.samples import StepBatch
from learner.weights import whole_weights
from tests.ended import ended_in
from tests.learner.tiny import make_trainer, random_samples, save_tiny_model
from tests.report.folders import make_run
from tests.test_tokens import save_tokenizer


@pytest.fixture(scope="module", params=[True, False], ids=["tied", "untied"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("model"), tied=request.param)


@pytest.mark.parametrize("lora", [0, 4])
def test_the_exported_model_has_the_trained_weights(model: Path, tmp_path: Path, lora: int) -> None:
    config = LearnerConfig(tokens_per_micro_batch=64, lora=LoraConfig(rank=lora, alpha=8.0))
    trainer = make_trainer(model, learner=config, lr=1e-2)
    trainer.step(StepBatch(random_samples(0), 0))
    scale = 8.0 / lora if lora else 0.0
    checkpoint.save(tmp_path / "checkpoints", trainer, LearnerState(1, 4, str(model), scale))
    out = export(tmp_path, tmp_path / "out", dtype="float32")
    loaded = AutoModelForCausalLM.from_pretrained(out).state_dict()
    for name, value in whole_weights(trainer.policy, lora_scale=scale).items():
        torch.testing.assert_close(loaded[name], value, atol=0.0, rtol=0.0)


def test_the_dtype_is_the_one_asked_for_and_the_card_tells_figures(model: Path, tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "checkpoints", make_trainer(model), LearnerState(7, 28, str(model)))
    out = export(tmp_path, tmp_path / "out", dtype="bfloat16", figures={"deduction greedy": 0.625})
    assert AutoModelForCausalLM.from_pretrained(out, dtype="auto").dtype == torch.bfloat16
    card = (out / "README.md").read_text()
    assert "7 learner steps, 28 optimiser updates" in card
    assert "| deduction greedy | 0.625 |" in card


@pytest.mark.parametrize(
    ("base", "listed"),
    [
        ("Qwen/Qwen3-4B-Base", True),
        ("tiny", False),
        ("/models/mine", False),
        ("./mine", False),
        ("learner/losses", False),
    ],
)
def test_the_card_lists_a_model_of_the_hub_as_its_base(base: str, listed: bool, tmp_path: Path) -> None:
    card = model_card(tmp_path / "run" / "checkpoints" / "step_00000001", LearnerState(1, 1, base), "float32", {}, base)
    front = card.split("---")[1]
    assert (f"base_model: {base}\n" in front) == listed


def test_whoever_may_see_the_folder_may_read_the_model(model: Path, tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "checkpoints", make_trainer(model), LearnerState(1, 1, str(model)))
    out = export(tmp_path, tmp_path / "out")
    assert {path.stat().st_mode & 0o777 for path in out.iterdir()} == {0o644}


def test_so_they_may_what_lies_in_folders_of_its_own(tmp_path: Path) -> None:
    """As chat templates beside the first do."""
    inner = tmp_path / "additional_chat_templates"
    inner.mkdir(mode=0o700)
    (inner / "tools.jinja").touch(mode=0o600)
    let_others_read(tmp_path)
    assert [path.stat().st_mode & 0o777 for path in (inner, inner / "tools.jinja")] == [0o755, 0o644]


def test_an_export_that_is_ended_leaves_nothing_half_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be as large as the model."""
    base = save_tiny_model(tmp_path / "base")
    checkpoint.save(tmp_path / "checkpoints", make_trainer(base), LearnerState(1, 1, str(base)))
    with ended_in("learner.export.let_others_read", monkeypatch):
        assert main(["export", str(tmp_path), str(tmp_path / "out")]) == EXIT_INTERRUPTED
    assert list(tmp_path.glob("out*")) == []


def test_generation_settings_that_transformers_will_not_write_are_copied_as_they_are(tmp_path: Path) -> None:
    """A temperature beside greedy decoding, as published models have it."""
    base, out = save_tiny_model(tmp_path / "base"), tmp_path / "out"
    save_tokenizer(base)
    (base / "generation_config.json").write_text('{"do_sample": false, "temperature": 0.6}')
    copy_companions(str(base), out)
    assert (out / "generation_config.json").read_text() == '{"do_sample": false, "temperature": 0.6}'


def test_an_existing_folder_is_never_written_over(model: Path, tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "checkpoints", make_trainer(model), LearnerState(1, 1, str(model)))
    (tmp_path / "out").mkdir()
    with pytest.raises(AzrError, match="exists already"):
        export(tmp_path, tmp_path / "out")


def test_the_newest_complete_checkpoint_of_a_run_is_found(model: Path, tmp_path: Path) -> None:
    trainer = make_trainer(model)
    for step in (3, 12):
        checkpoint.save(tmp_path / "checkpoints", trainer, LearnerState(step, step, str(model)))
    (tmp_path / "checkpoints" / "step_00000099.partial").mkdir()
    assert find_checkpoint(tmp_path).name == "step_00000012"
    assert find_checkpoint(tmp_path / "checkpoints").name == "step_00000012"
    early = tmp_path / "checkpoints" / "step_00000003"
    assert find_checkpoint(early) == early


@pytest.mark.parametrize("written", [b"{", b'{"model": "\xff"}', b"[" * 100_000], ids=["half", "no UTF-8", "too deep"])
def test_one_whose_own_words_are_damaged_is_refused_by_their_file(written: bytes, tmp_path: Path) -> None:
    (tmp_path / checkpoint.MARKER).write_bytes(written)
    with pytest.raises(AzrError, match=rf"{checkpoint.MARKER} cannot be read: "):
        find_checkpoint(tmp_path)


def test_a_folder_without_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AzrError, match="holds no complete checkpoint"):
        find_checkpoint(tmp_path)


def test_the_card_names_no_path_of_the_machine() -> None:
    folder = Path("/somewhere/runs/warm/checkpoints/step_1")
    card = model_card(folder, LearnerState(1, 1, "/home/me/base"), "float32", {}, "/home/me/base")
    assert "# warm" in card
    assert "/home" not in card
    assert "from `base`:" in card


def test_the_card_calls_the_base_as_it_is_called_everywhere() -> None:
    folder, state = Path("/runs/warm/checkpoints/step_1"), LearnerState(1, 1, "/cache/models--Qwen/snapshots/4f2")
    assert "from `Qwen/Qwen2.5-Coder-3B`:" in model_card(folder, state, "float32", {}, "Qwen/Qwen2.5-Coder-3B")


def test_a_base_model_that_is_gone_is_an_error_that_says_where_it_was(model: Path, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    checkpoint.save(tmp_path / "checkpoints", make_trainer(model), LearnerState(1, 1, str(gone)))
    with pytest.raises(AzrError, match="the model that the run began with cannot be read") as refused:
        export(tmp_path, tmp_path / "out")
    assert str(gone) in refused.value.mend
    assert "model.path" in refused.value.mend
    assert not (tmp_path / "out").exists()


def test_the_command_puts_the_runs_results_into_the_card(model: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "warm")
    (run / "config.yaml").unlink()
    checkpoint.save(run / "checkpoints", make_trainer(model), LearnerState(30, 120, str(model)))
    assert main(["export", str(run), str(tmp_path / "out")]) == 0
    card = (tmp_path / "out" / "README.md").read_text()
    assert "# warm" in card
    assert "| common deduction/solve sampled, step 0 | 0.25 |" in card
    assert "| common deduction/solve sampled, step 30 | 0.5 |" in card


def test_the_command_exports_a_checkpoint_that_no_run_stands_around(model: Path, tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "checkpoints", make_trainer(model), LearnerState(1, 4, str(model)))
    assert main(["export", str(tmp_path), str(tmp_path / "out")]) == 0
    assert "| measure |" not in (tmp_path / "out" / "README.md").read_text()


def test_the_exported_tokenizer_spells_what_the_run_spelled(tmp_path: Path) -> None:
    base = save_tiny_model(tmp_path / "base")
    tokenizer = save_tokenizer(base)
    checkpoint.save(tmp_path / "checkpoints", make_trainer(base), LearnerState(1, 4, str(base)))
    (tmp_path / "metrics.jsonl").touch()
    (tmp_path / "config.yaml").write_text("model: {plain_tokens: [<think>]}")
    assert main(["export", str(tmp_path), str(tmp_path / "out")]) == 0
    exported = AutoTokenizer.from_pretrained(tmp_path / "out")
    assert len(tokenizer("<think>")["input_ids"]) == 1
    assert len(exported("<think>")["input_ids"]) > 1
