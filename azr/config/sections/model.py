"""Configuration of the model: what is trained and served, how it is spoken to, in which precision it is served."""

from __future__ import annotations

from dataclasses import dataclass, field

FRAMES = ("compact", "r1", "chat")
DTYPES = ("auto", "float32", "bfloat16", "float16")

#: The name of the model that ships with azr.
EMBEDDED = "tiny"


@dataclass
class ModelConfig:
    """The base model that a run begins with."""

    path: str = ""
    """Hugging Face folder or name; `tiny` is the model that ships with azr. Every run needs one."""
    frame: str = "r1"
    """What stands around prompts and answers: `r1` (think and answer tags, for base models), `chat` (the tokenizer's
    own template), `compact` (the embedded model's)."""
    dtype: str = "auto"
    """Precision of the engines: `auto` is bfloat16 on a GPU and float32 on a CPU. The learner has its own key."""
    plain_tokens: list[str] = field(default_factory=list)
    """Added tokens that are written as ordinary text instead. Qwen3 base models have single tokens for `<think>` and
    `</think>` that no training ever touched; prompts that use them start from noise."""
