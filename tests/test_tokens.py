"""Added tokens that a model never learned are spelled as ordinary text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from azr.errors import AzrError
from azr.tokens import load_tokenizer, told_briefly

PLAIN = ("<think>", "</think>")
TEXT = "<think>sort it</think> <answer>[1]</answer>"


def save_tokenizer(folder: Path) -> Any:
    """A byte-level tokenizer as Qwen3's is built, with its added tokens at the end of the vocabulary."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, show_progress=False)
    backend.train_from_iterator(["sort it and think about the answer"] * 10, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<|end|>", pad_token="<|end|>")
    tokenizer.add_tokens([*PLAIN, "<tool>"])
    tokenizer.save_pretrained(folder)
    return tokenizer


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("tokenizer")
    save_tokenizer(made)
    return made


def ids(tokenizer: Any, text: str = TEXT) -> list[int]:
    found: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return found


def test_as_it_comes_each_is_one_token(folder: Path) -> None:
    tokenizer = load_tokenizer(folder)
    think = tokenizer.convert_tokens_to_ids("<think>")
    assert ids(tokenizer).count(think) == 1


def test_plain_ones_are_spelled_in_pieces_that_read_the_same(folder: Path) -> None:
    whole, plain = load_tokenizer(folder), load_tokenizer(folder, PLAIN)
    untrained = {whole.convert_tokens_to_ids(token) for token in PLAIN}
    assert not untrained & set(ids(plain))
    assert len(ids(plain)) > len(ids(whole))
    assert plain.decode(ids(plain)) == TEXT


def test_other_tokens_keep_their_ids(folder: Path) -> None:
    whole, plain = load_tokenizer(folder), load_tokenizer(folder, PLAIN)
    assert ids(plain, "sort it <tool><|end|>") == ids(whole, "sort it <tool><|end|>")
    assert plain.eos_token_id == whole.eos_token_id


def test_a_saved_one_stays_so(folder: Path, tmp_path: Path) -> None:
    load_tokenizer(folder, PLAIN).save_pretrained(tmp_path)
    assert ids(load_tokenizer(tmp_path)) == ids(load_tokenizer(folder, PLAIN))


def test_the_folder_itself_is_not_touched(folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    load_tokenizer(folder, PLAIN)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_token_that_is_none_is_refused(folder: Path) -> None:
    with pytest.raises(AzrError, match=r"has no added token '<thought>'"):
        load_tokenizer(folder, ["<thought>"])


def test_what_cannot_be_loaded_is_told_in_one_line_with_what_may_be_named() -> None:
    with pytest.raises(AzrError) as refused, told_briefly("the tokenizer of base", "name"):
        raise ValueError(f"it is {'very ' * 100}wrong\nand goes on")
    assert refused.value.what.startswith("the tokenizer of base cannot be loaded: it is very ")
    assert len(refused.value.what) < 350
    assert "\n" not in refused.value.what
    assert refused.value.mend.startswith("name the folder of a Hugging Face model")


@pytest.mark.parametrize(("error", "told"), [(KeyError(), "KeyError"), (AzrError("no model is named"), "no model")])
def test_one_without_words_is_told_by_its_kind_and_one_of_ours_as_it_is(error: Exception, told: str) -> None:
    with pytest.raises(AzrError) as refused, told_briefly("the tokenizer of base", "name"):
        raise error
    assert refused.value.what.removeprefix("the tokenizer of base cannot be loaded: ").startswith(told)
