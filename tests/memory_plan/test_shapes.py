"""Shapes count a model's parameters exactly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from azr.errors import AzrError
from azr.memory_plan.shapes import PUBLISHED, Shape, shape_of

TOY = Shape(
    layers=2, hidden=8, heads=4, kv_heads=2, head_width=2, intermediate=16, vocabulary=10, tied=True, query_bias=True
)


def test_a_layer_is_attention_biases_feed_forward_and_norms() -> None:
    # q, o: 8x8 each; k, v: 8x4 each; biases 8+4+4; three products of 8x16; two norms of 8.
    assert TOY.layer_parameters == 64 + 64 + 32 + 32 + 16 + 3 * 128 + 16 == 608


def test_the_root_is_embedding_and_norm_when_the_head_is_tied() -> None:
    assert TOY.root_parameters == 10 * 8 + 8
    assert TOY.parameters == 2 * 608 + 88


@pytest.mark.parametrize(
    ("model", "parameters"),
    [
        ("Qwen/Qwen2.5-Coder-3B", 3_085_938_688),
        ("Qwen/Qwen2.5-7B", 7_615_616_512),
        ("Qwen/Qwen2.5-Coder-14B", 14_770_033_664),
        ("meta-llama/Llama-3.1-8B", 8_030_261_248),
        ("Qwen/Qwen3-4B-Base", 4_022_468_096),
        ("Qwen/Qwen3-8B-Base", 8_190_735_360),
    ],
)
def test_published_models_have_their_published_number_of_parameters(model: str, parameters: int) -> None:
    assert PUBLISHED[model].parameters == parameters


def small_config(kind: str, *, tied: bool, bias: bool = False) -> Any:
    more = {"head_dim": 16} if kind == "qwen3" else {}
    return AutoConfig.for_model(
        kind,
        vocab_size=96,
        hidden_size=32,
        intermediate_size=80,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=tied,
        attention_bias=bias,
        **more,
    )


@pytest.mark.parametrize(("tied", "bias"), [(True, False), (False, False), (True, True)])
@pytest.mark.parametrize("kind", ["qwen2", "qwen3", "llama"])
def test_a_local_folder_is_counted_as_transformers_builds_it(kind: str, tied: bool, bias: bool, tmp_path: Path) -> None:
    config = small_config(kind, tied=tied, bias=bias)
    config.save_pretrained(tmp_path)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    assert shape_of(str(tmp_path)).parameters == sum(value.numel() for value in model.parameters())


def test_an_unknown_model_is_refused_with_the_nearest() -> None:
    with pytest.raises(AzrError, match=r"did you mean 'Qwen/Qwen2\.5-7B'"):
        shape_of("Qwen/Qwen2.5-7b")


def test_a_folder_of_another_family_is_refused_with_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gpt2", "n_layer": 12}))
    with pytest.raises(AzrError, match="no decoder of the Llama family"):
        shape_of(str(tmp_path))


PLAIN = {
    "model_type": "qwen3",
    "num_hidden_layers": 2,
    "hidden_size": 8,
    "num_attention_heads": 4,
    "intermediate_size": 16,
    "vocab_size": 10,
}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"model_type": "qwen3_moe", "num_experts": 128}, "'qwen3_moe'"),
        ({"model_type": "mixtral", "num_local_experts": 8}, "'mixtral'"),
        ({"num_attention_heads": 0}, r"num_attention_heads"),
        ({"num_hidden_layers": -2}, r"num_hidden_layers"),
        ({"num_key_value_heads": 0}, r"num_key_value_heads"),
        ({"hidden_size": 3}, "a hidden_size of 3 is not enough for 4 heads"),
    ],
)
def test_a_model_that_is_not_understood_is_refused_with_the_families_that_are(
    change: dict[str, Any], told: str, tmp_path: Path
) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps(PLAIN))
    assert shape_of(str(tmp_path)).heads == 4
    file.write_text(json.dumps(PLAIN | change))
    with pytest.raises(AzrError, match=told) as refused:
        shape_of(str(tmp_path))
    assert refused.value.mend == "memory is planned for Qwen2, Qwen3 and Llama"


def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(b'{"model_type": "\xff"}')
    with pytest.raises(AzrError, match="no decoder of the Llama family"):
        shape_of(str(tmp_path))
