"""What a learner rank asks of its card: by hand on a toy shape, and against what autograd really keeps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, Qwen2Config

from actors.weights.transports.files import write_file
from azr.config.sections.learner import LearnerConfig, LoraConfig
from azr.memory_plan.cards import GIB
from azr.memory_plan.learner import (
    CHUNK_ELEMENTS,
    CORES_CHUNK_ELEMENTS,
    RESERVE,
    host_demand,
    kept_by_layer,
    learner_demand,
    shared_memory_demand,
    trained_parameters,
    two_matrices,
)
from azr.memory_plan.shapes import PUBLISHED, Shape, read_shape
from learner import logprob_head
from learner.policy import load_policy
from learner.weights import whole_weights
from tests.memory_plan.test_shapes import TOY

#: Ten tokens a pass; compute in bf16 (2 bytes).
CONFIG = LearnerConfig(ranks=2, tokens_per_micro_batch=10, checkpointing="none")

#: Of TOY, kept by a layer for one token: two norms of 8 x (4 + 2·2), attention 2·(2·8 + 2·4) + 4·4 heads,
#: feed-forward 2·4·16.
NONE = 2 * 64 + (48 + 16) + 128


def test_states_are_sixteen_bytes_a_parameter_divided_by_the_ranks() -> None:
    demand = learner_demand(TOY, CONFIG)
    assert TOY.parameters == 1304
    assert demand.of("master weights") == 4 * 1304 // 2
    assert demand.of("gradients") == 4 * 1304 // 2
    assert demand.of("optimiser") == 8 * 1304 // 2


def test_the_root_and_two_layers_are_gathered_in_the_compute_dtype() -> None:
    assert learner_demand(TOY, CONFIG).of("gathered weights") == 2 * (88 + 2 * 608)
    full = replace(CONFIG, compute_dtype="float32")
    assert learner_demand(TOY, full).of("gathered weights") == 4 * (88 + 2 * 608)


@pytest.mark.parametrize(
    ("checkpointing", "kept"),
    [
        ("none", NONE),
        # Its input (8) and the results of its products: 8 queries, 4 keys, 4 values, 8 output, 16 gate, 16 up, 8 down.
        ("selective", 2 * (8 + 8 + 4 + 4 + 8 + 16 + 16 + 8)),
        ("full", 2 * 8),
    ],
)
def test_a_layer_keeps_by_the_mode_of_checkpointing(checkpointing: str, kept: int) -> None:
    assert kept_by_layer(TOY, checkpointing, 2) == kept
    # Outside the layers: embedding and scored states 2·8 each, the last norm 8 x (4 + 2·2).
    demand = learner_demand(TOY, replace(CONFIG, checkpointing=checkpointing))
    assert demand.of("activations") == 10 * (2 * kept + 16 + 16 + 64)


def test_the_working_space_is_the_largest_moment_of_a_pass() -> None:
    matrix, chunk = 10 * 8, 10 * 10
    head = chunk * (2 + 2) + matrix * (4 + 2)
    layer = 608 * (2 + 8) + 2 * matrix
    assert head == 880
    assert layer == 6240
    assert learner_demand(TOY, CONFIG).of("working space") == layer
    # Recomputing adds what one layer would have kept.
    full = learner_demand(TOY, replace(CONFIG, checkpointing="full"))
    assert full.of("working space") == layer + 10 * NONE


def test_a_large_vocabulary_makes_the_head_the_largest_moment() -> None:
    wide = Shape(layers=1, hidden=8, heads=1, kv_heads=1, head_width=8, intermediate=8, vocabulary=10_000, tied=False)
    config = replace(CONFIG, tokens_per_micro_batch=100)
    assert learner_demand(wide, config).of("working space") == 1_000_000 * 4 + 80_000 * 6


def test_the_reserve_is_counted() -> None:
    demand = learner_demand(TOY, CONFIG)
    assert demand.of("reserve") == RESERVE
    assert demand.total == sum(item.bytes for item in demand.items)


def test_adapters_leave_gradients_and_moments_of_themselves_only() -> None:
    config = replace(CONFIG, ranks=1, lora=LoraConfig(rank=2, targets=["q_proj", "down_proj"]))
    # Two layers, rank 2: queries 8 -> 8, down 16 -> 8.
    assert trained_parameters(TOY, config) == 2 * 2 * (16 + 24) == 160
    demand = learner_demand(TOY, config)
    assert demand.of("gradients") == 4 * 160
    assert demand.of("master weights") == 4 * (1304 + 160)


def test_offloading_moves_the_states_to_the_host() -> None:
    offloaded = replace(CONFIG, cpu_offload=True)
    assert learner_demand(TOY, offloaded).of("optimiser") == 0
    assert host_demand(TOY, offloaded) == host_demand(TOY, CONFIG) + 8 * 1304, "a rank's half of sixteen bytes"


def test_the_host_holds_three_versions_in_fp32_and_one_as_the_engines_have_it() -> None:
    """The toy's head is tied: 80 of its 1,304 parameters are gathered twice."""
    assert TOY.published_parameters == 1304 + 80
    assert host_demand(TOY, CONFIG) == (3 * 4 + 2) * 1384
    assert host_demand(TOY, CONFIG, 4) == 3 * 4 * 1384, "nothing is cast"


def test_versions_lie_in_shared_memory_in_the_engines_width() -> None:
    assert shared_memory_demand(TOY, 3) == 3 * 2 * 1384
    assert shared_memory_demand(TOY, 1, 4) == 4 * 1384
    seven = PUBLISHED["Qwen/Qwen2.5-7B"]
    assert seven.published_parameters == seven.parameters, "its head is a matrix of its own"
    assert shared_memory_demand(seven, 3) / GIB == pytest.approx(3 * 14.19, abs=0.02)


@pytest.mark.parametrize("tied", [True, False])
def test_what_a_version_holds_is_what_the_publisher_really_writes(tmp_path: Path, tied: bool) -> None:
    """Heads included: a tied one is gathered by its own name, and written as a matrix of its own."""
    config = Qwen2Config(
        vocab_size=64,
        hidden_size=64,
        intermediate_size=192,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=tied,
    )
    config.save_pretrained(tmp_path)
    weights = whole_weights(load_policy(tmp_path, random_weights=True))
    shape = read_shape(tmp_path / "config.json")
    assert sum(tensor.numel() for tensor in weights.values()) == shape.published_parameters
    size = write_file(tmp_path / "0.1.safetensors", weights)
    assert size == pytest.approx(4 * shape.published_parameters, rel=0.02)


def test_what_the_first_rank_sends_from_its_card_lies_there_as_well() -> None:
    """Two tensors at a time: the embedding, 10 x 8, and one of 8 x 16 after it."""
    assert two_matrices(TOY) == 80 + 128
    assert learner_demand(TOY, CONFIG, sent=2 * 208).of("weights being sent") == 2 * 208
    assert learner_demand(TOY, CONFIG, sent=2 * 208).total == learner_demand(TOY, CONFIG).total + 2 * 208
    assert "weights being sent" not in [item.name for item in learner_demand(TOY, CONFIG).items]


def test_the_chunk_is_the_heads_own() -> None:
    assert CHUNK_ELEMENTS == logprob_head.GPU_CHUNK_ELEMENTS
    assert CORES_CHUNK_ELEMENTS == logprob_head.CHUNK_ELEMENTS


def test_on_cores_a_rank_computes_in_fp32_and_keeps_nothing_for_cuda() -> None:
    full = replace(CONFIG, compute_dtype="float32")
    on_cores = learner_demand(TOY, replace(CONFIG, compute_dtype="auto"), on_cores=True)
    on_card = learner_demand(TOY, full)
    assert on_card.total - on_cores.total == on_card.of("reserve")
    halved = learner_demand(TOY, replace(CONFIG, compute_dtype="bfloat16"), on_cores=True)
    assert 2 * halved.of("gathered weights") == on_cores.of("gathered weights")


@pytest.mark.parametrize(("model", "gigabytes"), [("Qwen/Qwen2.5-3B", 49.4), ("Qwen/Qwen2.5-7B", 121.8)])
def test_states_of_published_models_are_the_known_sums(model: str, gigabytes: float) -> None:
    demand = learner_demand(PUBLISHED[model], LearnerConfig(ranks=1))
    states = sum(demand.of(name) for name in ("master weights", "gradients", "optimiser"))
    assert states / 1e9 == pytest.approx(gigabytes, abs=0.1)
    assert states > 16 * GIB


def test_what_a_real_layer_keeps_is_near_the_arithmetic() -> None:
    """Counted with autograd's hooks on a real Qwen2 layer in fp32, each storage once; attention's mask is not ours."""
    config = Qwen2Config(
        vocab_size=64,
        hidden_size=64,
        intermediate_size=192,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        attn_implementation="sdpa",
    )
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    parameters = {value.untyped_storage().data_ptr() for value in model.parameters()}
    kept: dict[int, int] = {}

    def pack(value: torch.Tensor) -> torch.Tensor:
        storage = value.untyped_storage()
        if storage.data_ptr() not in parameters:
            kept[storage.data_ptr()] = storage.nbytes()
        return value

    tokens = 128
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda value: value):
        hidden = model.get_decoder()(input_ids=torch.zeros(1, tokens, dtype=torch.long)).last_hidden_state
    shape = Shape(layers=3, hidden=64, heads=4, kv_heads=2, head_width=16, intermediate=192, vocabulary=64, tied=False)
    planned = tokens * shape.layers * kept_by_layer(shape, "none", 4)
    assert hidden.requires_grad
    assert 0.75 <= planned / sum(kept.values()) <= 1.35
