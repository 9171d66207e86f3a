"""Configuration of the model: what is trained and served, and how it is spoken to. Precisions are the engines' and the
learner's own keys."""

from __future__ import annotations

from dataclasses import dataclass, field

FRAMES = ("compact", "r1", "chat")


@dataclass
class ModelConfig:
    """The base model that a run begins with."""

    path: str = ""
    """Hugging Face folder or name; `tiny` is the model that ships with azr. Every run needs one."""
    frame: str = "r1"
    """What stands around prompts and answers: `r1` (think and answer tags, for base models), `chat` (the tokenizer's
    own template), `compact` (the embedded model's)."""
    plain_tokens: list[str] = field(default_factory=list)
    """Added tokens that are written as ordinary text instead. Qwen3 base models have single tokens for `<think>` and
    `</think>` that no training ever touched; prompts that use them start from noise."""
