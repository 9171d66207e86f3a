"""Tokenizers, with added tokens that a model never learned taken back into ordinary text.

Called by whoever makes or reads a model's tokens: players, the batch source, export. Qwen3's base models share their
tokenizer with the chat models: `<think>` and `</think>` are single tokens there, whose embeddings no training of the
base touched. A prompt that holds them begins with noise. Without the two the same text is spelled in pieces that the
model knows; ids do not move, and the two ids are simply never used.

    folder ──► tokenizer ──► saved aside ──► added tokens renamed in its files ──► tokenizer
"""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from azr.errors import AzrError
from azr.files import write_bytes
from azr.text import shortened

#: A character of no language on both sides of a token nobody is to use again.
_UNUSED = "\ue000"

#: Characters of a library's own words in an error.
_WHY_WIDTH = 300


def load_tokenizer(source: str | Path, plain: Sequence[str] = ()) -> Any:
    """The tokenizer of a Hugging Face folder or name; `plain` are added tokens that are ordinary text in it."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(source)
    if not plain:
        return tokenizer
    added = tokenizer.get_added_vocab()
    if unknown := [token for token in plain if token not in added]:
        raise AzrError(
            f"model.plain_tokens: the tokenizer of {source} has no added token {unknown[0]!r}",
            "take it out; it is ordinary text already",
        )
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        for path in Path(folder).glob("*.json"):
            _rewrite(path, frozenset(plain))
        return AutoTokenizer.from_pretrained(folder)


def tokenizer_digest(model: str) -> str:
    """What tells a model folder's tokenizer from any other's; empty where there is no such file, as of a hub's name."""
    path = Path(model, "tokenizer.json")
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16] if path.exists() else ""


@contextlib.contextmanager
def told_briefly(part: str, ask: str) -> Iterator[None]:
    """What of a model cannot be loaded within the block is told in one line: transformers says it at length. `ask` is
    how the mend begins, before what a model may be named by."""
    try:
        yield
    except AzrError:
        raise
    except Exception as error:  # tokenizers has no narrower one, and transformers half a dozen
        why = str(error).strip().partition("\n")[0] or type(error).__name__
        raise AzrError(
            f"{part} cannot be loaded: {shortened(why, _WHY_WIDTH)}",
            f"{ask} the folder of a Hugging Face model, or a name that this machine has or can download",
        ) from error


def _rewrite(path: Path, plain: frozenset[str]) -> None:
    """Give the tokens other texts in one file of a saved tokenizer.

    Taking them out would move every added token behind them to another id.
    """
    content = msgspec.json.decode(path.read_bytes())
    if path.name == "added_tokens.json":
        content = {_renamed(token, plain): number for token, number in content.items()}
    elif isinstance(content, dict):
        for key in ("added_tokens", "additional_special_tokens", "extra_special_tokens"):
            if isinstance(tokens := content.get(key), list):
                content[key] = [_renamed(token, plain) for token in tokens]
        if isinstance(tokens := content.get("added_tokens_decoder"), dict):
            content["added_tokens_decoder"] = {key: _renamed(token, plain) for key, token in tokens.items()}
    write_bytes(path, msgspec.json.encode(content))


def _renamed(token: Any, plain: frozenset[str]) -> Any:
    if isinstance(token, dict):
        return {**token, "content": _renamed(token["content"], plain)}
    return f"{_UNUSED}{token}{_UNUSED}" if token in plain else token
