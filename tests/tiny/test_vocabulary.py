"""The tiny tokenizer: lossless, short on code, single on what is counted and reversed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerFast, Qwen3Config

from azr.tiny.grammar import draw_argument, draw_program
from azr.tiny.vocabulary import END, SIZE, save_tokenizer, train_tokenizer


def texts() -> list[str]:
    generator = np.random.default_rng(0)
    return [
        f"{program.text}\n#i {draw_argument(generator, program.takes)}\n#o\n"
        for program in (draw_program(generator) for _ in range(3000))
    ]


TOKENIZER = train_tokenizer(texts())


@given(st.text(max_size=60))
def test_any_text_survives(text: str) -> None:
    assert TOKENIZER.decode(TOKENIZER(text, add_special_tokens=False)["input_ids"]) == text


def test_code_is_short() -> None:
    lengths = [len(TOKENIZER(text)["input_ids"]) for text in texts()[:200]]
    assert np.mean(lengths) < 20


def test_letters_of_strings_and_digits_stay_single() -> None:
    pieces = [TOKENIZER.decode([token]) for token in TOKENIZER("#i 'abca'\n#o\n")["input_ids"]]
    assert [piece for piece in pieces if piece in "abcd"] == ["a", "b", "c", "a"]
    pieces = [TOKENIZER.decode([token]) for token in TOKENIZER("#i 1234\n")["input_ids"]]
    assert [piece for piece in pieces if piece.isdigit()] == ["1", "2", "3", "4"]


def test_the_vocabulary_is_as_large_as_the_model_expects_and_ends_are_special() -> None:
    assert len(TOKENIZER) == SIZE
    assert TOKENIZER.convert_ids_to_tokens(TOKENIZER.eos_token_id) == END


def test_training_repeats_itself() -> None:
    assert train_tokenizer(texts()[:500]).get_vocab() == train_tokenizer(texts()[:500]).get_vocab()


@pytest.mark.parametrize("text", ["def f(a):\n return a[::-1]\n", "'abca'"])
def test_loaded_beside_the_models_configuration_it_is_the_same(tmp_path: Path, text: str) -> None:
    """transformers replaces the tokenizer of some model types by their published one: not this type's."""
    save_tokenizer(TOKENIZER, tmp_path)
    Qwen3Config(vocab_size=SIZE).save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    assert isinstance(loaded, PreTrainedTokenizerFast)
    assert loaded(text)["input_ids"] == TOKENIZER(text)["input_ids"]
    assert loaded.apply_chat_template([{"role": "user", "content": text}], tokenize=False) == text
