"""The shapes of models, known without downloading anything: published ones as data, others from a local config.json.

Called by the memory plan. A shape gives exact parameter counts; the tests hold them against transformers' own models.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from azr.decoding import UNDECODABLE
from azr.errors import AzrError
from azr.names import did_you_mean


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """A decoder of the Llama family: grouped-query attention, gated MLP, RMSNorm."""

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_width: int
    intermediate: int
    vocabulary: int
    tied: bool
    """Head and embedding are one matrix."""
    query_bias: bool = False
    """Biases on queries, keys and values (Qwen2)."""
    output_bias: bool = False
    """One on what attention gives to the stream, too (`attention_bias` of Llama and Qwen3)."""
    query_norm: bool = False
    """Norms of a head's width on queries and keys (Qwen3)."""

    @property
    def query_width(self) -> int:
        """All query heads side by side."""
        return self.heads * self.head_width

    @property
    def kv_width(self) -> int:
        """All key heads side by side; values alike."""
        return self.kv_heads * self.head_width

    @property
    def layer_parameters(self) -> int:
        """Of one decoder layer."""
        attention = 2 * self.hidden * self.query_width + 2 * self.hidden * self.kv_width
        biases = self.query_width + 2 * self.kv_width if self.query_bias else 0
        biases += self.hidden if self.output_bias else 0
        norms = 2 * self.hidden + (2 * self.head_width if self.query_norm else 0)
        return attention + biases + 3 * self.hidden * self.intermediate + norms

    @property
    def root_parameters(self) -> int:
        """Of what is no layer: embedding, head, last norm."""
        return self.vocabulary * self.hidden * (1 if self.tied else 2) + self.hidden

    @property
    def parameters(self) -> int:
        """All of them."""
        return self.layers * self.layer_parameters + self.root_parameters

    @property
    def published_parameters(self) -> int:
        """In a version on its way to the engines: a tied head is gathered and written beside the embedding."""
        return self.parameters + (self.vocabulary * self.hidden if self.tied else 0)


def _published(
    layers: int,
    hidden: int,
    heads: int,
    kv_heads: int,
    intermediate: int,
    vocabulary: int,
    *,
    tied: bool = False,
    query_bias: bool = False,
    query_norm: bool = False,
) -> Shape:
    """A published model; heads are 128 wide in all of them."""
    return Shape(
        layers=layers,
        hidden=hidden,
        heads=heads,
        kv_heads=kv_heads,
        head_width=128,
        intermediate=intermediate,
        vocabulary=vocabulary,
        tied=tied,
        query_bias=query_bias,
        query_norm=query_norm,
    )


#           layers, hidden, heads, their keys, intermediate, vocabulary
_QWEN25_3B = _published(36, 2048, 16, 2, 11008, 151936, tied=True, query_bias=True)
_QWEN25_7B = _published(28, 3584, 28, 4, 18944, 152064, query_bias=True)
_QWEN25_14B = _published(48, 5120, 40, 8, 13824, 152064, query_bias=True)

#: The models that presets name, by their public names.
PUBLISHED: dict[str, Shape] = {
    "Qwen/Qwen2.5-3B": _QWEN25_3B,
    "Qwen/Qwen2.5-7B": _QWEN25_7B,
    "Qwen/Qwen2.5-14B": _QWEN25_14B,
    "Qwen/Qwen2.5-Coder-3B": _QWEN25_3B,
    "Qwen/Qwen2.5-Coder-7B": _QWEN25_7B,
    "Qwen/Qwen2.5-Coder-14B": _QWEN25_14B,
    "Qwen/Qwen3-4B-Base": _published(36, 2560, 32, 8, 9728, 151936, tied=True, query_norm=True),
    "Qwen/Qwen3-8B-Base": _published(36, 4096, 32, 8, 12288, 151936, query_norm=True),
    "meta-llama/Llama-3.1-8B": _published(32, 4096, 32, 8, 14336, 128256),
}


def shape_of(model: str) -> Shape:
    """The shape of a published model by name, or of a local folder by its config.json."""
    if model in PUBLISHED:
        return PUBLISHED[model]
    path = Path(model) / "config.json"
    if path.is_file():
        return read_shape(path)
    raise AzrError(
        f"the shape of {model!r} is not known, so its memory cannot be planned; {did_you_mean(model, PUBLISHED)}",
        "name one of these, or a local folder with the model's config.json",
    )


_Number = Annotated[int, msgspec.Meta(ge=1)]


class _ConfigFile(msgspec.Struct):
    """What a Hugging Face config.json says of a decoder of this family. Others have the same keys and more beside them:
    a mixture of experts would be counted as one expert."""

    model_type: Literal["qwen2", "qwen3", "llama"]
    num_hidden_layers: _Number
    hidden_size: _Number
    num_attention_heads: _Number
    intermediate_size: _Number
    vocab_size: _Number
    num_key_value_heads: _Number | None = None
    head_dim: _Number | None = None
    tie_word_embeddings: bool = False
    attention_bias: bool = False

    def __post_init__(self) -> None:
        if self.head_dim is None and self.hidden_size < self.num_attention_heads:
            raise ValueError(f"a hidden_size of {self.hidden_size} is not enough for {self.num_attention_heads} heads")


def read_shape(path: Path) -> Shape:
    """The shape that a config.json describes."""
    try:
        config = msgspec.json.decode(path.read_bytes(), type=_ConfigFile)
    except UNDECODABLE as error:
        raise AzrError(
            f"{path} describes no decoder of the Llama family: {error}", "memory is planned for Qwen2, Qwen3 and Llama"
        ) from error
    return Shape(
        layers=config.num_hidden_layers,
        hidden=config.hidden_size,
        heads=config.num_attention_heads,
        kv_heads=config.num_key_value_heads or config.num_attention_heads,
        head_width=config.head_dim or config.hidden_size // config.num_attention_heads,
        intermediate=config.intermediate_size,
        vocabulary=config.vocab_size,
        tied=config.tie_word_embeddings,
        query_bias=config.model_type == "qwen2" or config.attention_bias,
        output_bias=config.attention_bias and config.model_type != "qwen2",
        query_norm=config.model_type == "qwen3",
    )
