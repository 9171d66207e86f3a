"""The embedded model at a published size: it plays as well as the tiny one, and costs what the large one costs.

Owns the widening. Called by `azr tiny widen`. A cluster can be tried at full size before any weights are downloaded:
real responses that end, real tasks for the sandbox, real rewards, and gigabytes to train and to hand over.

    tiny, h wide:   embed e    heads of d    4 layers     MLP f
                      │            │            │           │       what is added reads at random and writes zeros,
    wide, H wide:   [s·e|0]    [r·q|0…]     4 + identity  [f|…]     so the function is the same, yet all of it can learn

Root mean squares are kept by scale: the residual stream by s = √(H/h), queries and keys by r = √(D/d). A head's plane i
of rotation turns at θ^(-2i/d), which is plane i·D/d of a head that is D wide.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from azr.errors import AzrError
from azr.files import write_text
from azr.tiny.shipped import folder as embedded

#: Of the random numbers that are added, as published models begin.
_SPREAD = 0.02

_COMPANIONS = ("tokenizer.json", "tokenizer_config.json", "generation_config.json", "chat_template.jinja")


@dataclass(frozen=True)
class Size:
    """A decoder of Qwen3's kind."""

    hidden: int
    feed_forward: int
    layers: int
    heads: int
    kv_heads: int
    head_width: int = 128


#: By the names under which they were published. The vocabulary stays the embedded model's.
SIZES = {
    "qwen3-0.6b": Size(1_024, 3_072, 28, 16, 8),
    "qwen3-1.7b": Size(2_048, 6_144, 28, 16, 8),
    "qwen3-4b": Size(2_560, 9_728, 36, 32, 8),
    "qwen3-8b": Size(4_096, 12_288, 36, 32, 8),
    "qwen3-14b": Size(5_120, 17_408, 40, 40, 8),
}


def write_widened(out: Path, size: Size, *, named: str, seed: int = 0) -> Path:
    """Make the model folder, whole or not at all; one file of weights a layer, so that one layer is held in memory."""
    if out.exists():
        raise AzrError(f"{out} exists already", "name a folder that does not, or remove it")
    source = json.loads((embedded() / "config.json").read_text())
    small = _size_of(source)
    _require_room(small, size, named)
    partial = out.with_name(out.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    places: dict[str, str] = {}
    total = 0
    for number, tensors in enumerate(widened(load_file(embedded() / "model.safetensors"), small, size, seed=seed)):
        file = f"model-{number + 1:05d}-of-{size.layers + 1:05d}.safetensors"
        save_file(tensors, partial / file, metadata={"format": "pt"})
        places |= dict.fromkeys(tensors, file)
        total += sum(tensor.nbytes for tensor in tensors.values())
    index = {"metadata": {"total_size": total}, "weight_map": places}
    write_text(partial / "model.safetensors.index.json", json.dumps(index, indent=1))
    write_text(partial / "config.json", json.dumps(_described(source, size), indent=1))
    for name in _COMPANIONS:
        shutil.copyfile(embedded() / name, partial / name)
    write_text(partial / "README.md", _CARD.format(named=named, parameters=total // 2))
    for path in partial.iterdir():
        path.chmod(0o644)  # safetensors makes files for their owner alone
    partial.rename(out)
    return out


def widened(weights: dict[str, Tensor], small: Size, size: Size, *, seed: int) -> Iterator[dict[str, Tensor]]:
    """What stands outside the layers, then each layer, as the wide model's tensors."""
    stream = math.sqrt(size.hidden / small.hidden)
    embedding = weights["model.embed_tokens.weight"]
    wide = embedding.new_zeros(len(embedding), size.hidden)
    wide[:, : small.hidden] = embedding * stream
    # The head is the embedding again, so the stream's scale is taken out twice.
    yield {"model.embed_tokens.weight": wide, "model.norm.weight": _norm(weights["model.norm.weight"], size, stream**2)}
    for layer in range(size.layers):
        made = _adding_nothing(size, embedding.dtype, torch.Generator().manual_seed(seed * size.layers + layer))
        prefix = f"model.layers.{layer}."
        own = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
        made = _layer(own, small, size, made) if own else made
        yield {prefix + name: value for name, value in made.items()}


def _layer(own: dict[str, Tensor], small: Size, size: Size, made: dict[str, Tensor]) -> dict[str, Tensor]:
    """The embedded model's layer set into a wide one that adds nothing."""
    stream, head = math.sqrt(size.hidden / small.hidden), math.sqrt(size.head_width / small.head_width)
    turning, still = _planes(small.head_width, size.head_width), torch.arange(small.head_width)
    group = size.heads // size.kv_heads
    # A head that is taken keeps nothing of what it was: its other places would turn and be compared as well.
    for name, every, within, scale in (("q", group, turning, head), ("k", 1, turning, head), ("v", 1, still, 1.0)):
        place = f"self_attn.{name}_proj.weight"
        made[place][_rows(small.heads, every, torch.arange(size.head_width), size.head_width)] = 0
        made[place][_rows(small.heads, every, within, size.head_width), : small.hidden] = own[place] * scale
    answers = _rows(small.heads, group, still, size.head_width)
    made["self_attn.o_proj.weight"][: small.hidden, answers] = own["self_attn.o_proj.weight"] * stream
    for name in ("gate", "up"):
        place = f"mlp.{name}_proj.weight"
        made[place][: small.feed_forward, : small.hidden] = own[place]
    made["mlp.down_proj.weight"][: small.hidden, : small.feed_forward] = own["mlp.down_proj.weight"] * stream
    for name in ("input_layernorm.weight", "post_attention_layernorm.weight"):
        made[name] = _norm(own[name], size, stream)
    # Products of queries and keys are divided by √D and not by √d, and both have been lengthened by r.
    made["self_attn.q_norm.weight"][turning] = own["self_attn.q_norm.weight"]
    made["self_attn.k_norm.weight"][turning] = own["self_attn.k_norm.weight"] / head
    return made


def _adding_nothing(size: Size, dtype: torch.dtype, generator: torch.Generator) -> dict[str, Tensor]:
    """A layer that reads at random and writes zeros."""
    queries, keys = size.heads * size.head_width, size.kv_heads * size.head_width

    def random(*shape: int) -> Tensor:
        return torch.empty(shape).normal_(0.0, _SPREAD, generator=generator).to(dtype)

    return {
        "self_attn.q_proj.weight": random(queries, size.hidden),
        "self_attn.k_proj.weight": random(keys, size.hidden),
        "self_attn.v_proj.weight": random(keys, size.hidden),
        "self_attn.o_proj.weight": torch.zeros(size.hidden, queries, dtype=dtype),
        "mlp.gate_proj.weight": random(size.feed_forward, size.hidden),
        "mlp.up_proj.weight": random(size.feed_forward, size.hidden),
        "mlp.down_proj.weight": torch.zeros(size.hidden, size.feed_forward, dtype=dtype),
        "input_layernorm.weight": torch.ones(size.hidden, dtype=dtype),
        "post_attention_layernorm.weight": torch.ones(size.hidden, dtype=dtype),
        "self_attn.q_norm.weight": torch.ones(size.head_width, dtype=dtype),
        "self_attn.k_norm.weight": torch.ones(size.head_width, dtype=dtype),
    }


def _norm(weight: Tensor, size: Size, scale: float) -> Tensor:
    wide = weight.new_ones(size.hidden)
    wide[: len(weight)] = weight / scale
    return wide


def _planes(small: int, wide: int) -> Tensor:
    """Where the places of a narrow head stand in a wide one, so that each turns at the speed it turned at before."""
    first = torch.arange(small // 2) * (wide // small)
    return torch.cat([first, first + wide // 2])


def _rows(heads: int, every: int, within: Tensor, width: int) -> Tensor:
    """Places of narrow heads among wide ones: each stands first in its group of `every`."""
    return torch.cat([number * every * width + within for number in range(heads)])


def _size_of(config: dict[str, int]) -> Size:
    return Size(
        config["hidden_size"],
        config["intermediate_size"],
        config["num_hidden_layers"],
        config["num_attention_heads"],
        config["num_key_value_heads"],
        config["head_dim"],
    )


def _require_room(small: Size, size: Size, named: str) -> None:
    fits = (
        small.hidden <= size.hidden
        and small.feed_forward <= size.feed_forward
        and small.layers <= size.layers
        and small.heads <= size.kv_heads
        and small.heads == small.kv_heads
        and size.heads % size.kv_heads == 0
        and size.head_width % small.head_width == 0
    )
    if not fits:
        raise AzrError(
            f"the embedded model ({small}) does not fit into {named} ({size})", f"take one of {', '.join(SIZES)}"
        )


def _described(source: dict[str, object], size: Size) -> dict[str, object]:
    return source | {
        "hidden_size": size.hidden,
        "intermediate_size": size.feed_forward,
        "num_hidden_layers": size.layers,
        "num_attention_heads": size.heads,
        "num_key_value_heads": size.kv_heads,
        "head_dim": size.head_width,
        "layer_types": ["full_attention"] * size.layers,
        "max_window_layers": size.layers,
    }


_CARD = """---
library_name: transformers
pipeline_tag: text-generation
license: apache-2.0
tags: [azr, self-play, tiny]
---

# azr tiny, widened to {named}

{parameters:,} parameters that answer as azr's embedded model of 1.4 million does, made by
`azr tiny widen {named}`. What was added reads at random and writes zeros until it is trained. The vocabulary is the
embedded model's 512 tokens, so embedding and head cost less than the published model's. For trying machines at full
size; it knows no more than the tiny one.
"""
