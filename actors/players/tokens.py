"""The model's tokenizer, as far as players need it: prompts to tokens, lengths, and the frame around prompts.

Read straight from `tokenizer.json` where that is enough: a restarted player is back in a tenth of a second, while
transformers takes seconds to import. The frame `chat` needs the tokenizer's template, and so transformers; so do models
that come without such a file, or whose added tokens are to be plain text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from azr.config.sections.model import ModelConfig
from azr.errors import AzrError
from azr.game.frames import Frame, frame
from azr.tokens import load_tokenizer, told_briefly


class Tokens:
    """Text as the model counts it."""

    def __init__(
        self, encode: Callable[[str], Sequence[int]], around: Frame, control_texts: Iterable[str] = ()
    ) -> None:
        self._encode = encode
        self.frame = around
        self.control_texts = tuple(control_texts)
        """Texts of which `encode` makes control tokens, such as the end of a turn, wherever they stand."""

    def encode(self, prompt: str) -> tuple[int, ...]:
        """A framed prompt as tokens."""
        return tuple(self._encode(prompt))

    def length(self, text: str) -> int:
        """How many tokens a text has."""
        return len(self._encode(text))


def load_tokens(model: ModelConfig) -> Tokens:
    """The tokenizer of the configured model, and its frame; what cannot be read is refused by its key."""
    with told_briefly(f"the tokenizer of {model.path}", "check model.path:"):
        return _loaded(model)


def _loaded(model: ModelConfig) -> Tokens:
    folder = Path(model_folder(model.path))
    if model.frame == "chat" or model.plain_tokens or not (folder / "tokenizer.json").is_file():
        return _by_transformers(str(folder if folder.exists() else model.path), model)
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    # Who saved it may have trained with either. A prompt must neither be cut nor filled, and a length must be its own.
    tokenizer.no_truncation()
    tokenizer.no_padding()
    controls = _controls(tokenizer.get_added_tokens_decoder().values())
    return Tokens(lambda text: tokenizer.encode(text).ids, frame(model.frame), controls)


def _controls(added: Iterable[Any]) -> tuple[str, ...]:
    """Which of a tokenizer's added tokens are control tokens: the special ones, and those written `<|so|>`.

    Others are ordinary text: there are vocabularies with runs of blanks, letters or the tags of HTML among them.
    """
    texts = [(token.content, token.special) for token in added]
    return tuple(text for text, special in texts if text.strip() and (special or text.startswith("<|")))


def model_folder(path: str) -> str:
    """Where the model lies. The run has put a folder in place of the embedded model's name by now."""
    if not path:
        raise AzrError("no model is named", "set model.path to a Hugging Face folder or name")
    return path


def _by_transformers(path: str, model: ModelConfig) -> Tokens:
    tokenizer: Any = load_tokenizer(path, model.plain_tokens)
    if model.frame == "chat" and not getattr(tokenizer, "chat_template", None):
        raise AzrError(f"the tokenizer of {path} has no chat template", "set model.frame: r1")

    def template(messages: Sequence[Mapping[str, str]]) -> str:
        return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))

    # A chat template writes the special tokens itself.
    special = model.frame != "chat"

    def encode(text: str) -> Sequence[int]:
        ids: Sequence[int] = tokenizer(text, add_special_tokens=special)["input_ids"]
        return ids

    return Tokens(encode, frame(model.frame, template), _controls(tokenizer.added_tokens_decoder.values()))
