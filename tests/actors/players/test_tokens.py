"""A model's tokenizer: the shipped one is read, and one that cannot be is refused by the key that names it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from actors.players.tokens import load_tokens
from azr.config.sections.model import ModelConfig
from azr.errors import AzrError
from azr.tiny import shipped


def test_the_shipped_models_is_read_with_its_frame() -> None:
    tokens = load_tokens(ModelConfig(path=str(shipped.folder()), frame="compact"))
    assert tokens.length("def f(x): return x") == len(tokens.encode("def f(x): return x")) > 0


def test_a_folder_that_is_not_there_is_refused_by_its_key(tmp_path: Path) -> None:
    with pytest.raises(AzrError) as refused:
        load_tokens(ModelConfig(path=str(tmp_path / "mistyped"), frame="compact"))
    assert refused.value.what.startswith(f"the tokenizer of {tmp_path / 'mistyped'} cannot be loaded: ")
    assert refused.value.mend.startswith("check model.path")


def test_a_broken_file_is_refused_with_what_is_wrong_in_it_on_one_line(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text('{"model": \n}')
    with pytest.raises(AzrError, match=r"cannot be loaded: .*line 2") as refused:
        load_tokens(ModelConfig(path=str(tmp_path), frame="compact"))
    assert "\n" not in refused.value.what


def test_what_a_file_says_of_cutting_and_filling_is_not_done(tmp_path: Path) -> None:
    """Whoever trained the model may have saved both; a prompt that was cut would pass every gate for length."""
    saved = Tokenizer.from_file(str(shipped.folder() / "tokenizer.json"))
    saved.enable_truncation(4)
    saved.enable_padding(length=10)
    saved.save(str(tmp_path / "tokenizer.json"))
    tokens = load_tokens(ModelConfig(path=str(tmp_path), frame="compact"))
    as_shipped = load_tokens(ModelConfig(path=str(shipped.folder()), frame="compact"))
    for text in ("x", "def f(x): return x + 100" * 10):
        assert tokens.encode(text) == as_shipped.encode(text)


@pytest.mark.parametrize("read_by", ["tokenizers", "transformers"])
def test_control_tokens_are_known_by_their_texts_and_ordinary_added_ones_are_none(tmp_path: Path, read_by: str) -> None:
    """Some vocabularies add runs of blanks, or letters: refused, no program of theirs would be a task."""
    saved = Tokenizer.from_file(str(shipped.folder() / "tokenizer.json"))
    saved.add_special_tokens(["[STOP]"])
    saved.add_tokens(["        ", "ß", "<b>", "<|tool|>", "<|think|>"])
    saved.save(str(tmp_path / "tokenizer.json"))
    shutil.copy(shipped.folder() / "tokenizer_config.json", tmp_path)
    tokens = load_tokens(
        ModelConfig(
            path=str(tmp_path), frame="compact", plain_tokens=["<|think|>"] if read_by == "transformers" else []
        )
    )
    known = {"<|end|>", "[STOP]", "<|tool|>"}
    if read_by == "tokenizers":
        known.add("<|think|>")
    assert set(tokens.control_texts) == known


def test_no_model_at_all_is_named_as_before() -> None:
    with pytest.raises(AzrError, match="no model is named"):
        load_tokens(ModelConfig())
