"""What an engine asks of each of its cards, by hand on a toy shape."""

from __future__ import annotations

import msgspec
import pytest

from azr.memory_plan.cards import GIB, Card
from azr.memory_plan.engine import GRAPHS, Engine, cache_bytes_per_token, cached_tokens, engine_demand, transfer_buffers
from azr.memory_plan.shapes import PUBLISHED
from tests.memory_plan.test_shapes import TOY

CARD = Card("toy", 4 * GIB)
ENGINE = Engine(replicas=1, tensor_parallel=1, share=0.75, running=3, sequence_tokens=20, batched_tokens=5)


def test_the_cache_is_what_the_share_leaves() -> None:
    demand = engine_demand(TOY, ENGINE, CARD)
    # One layer's widest moment: gate and up 2·16, and the stream twice 2·8; logits of three sequences of 10 words,
    # three times in fp32.
    working = 5 * 2 * (32 + 16) + 3 * 4 * 3 * 10
    assert demand.of("weights") == 2 * 1304
    assert demand.of("working space") == working
    assert demand.of("KV cache") == 3 * GIB - 2 * 1304 - working - GRAPHS
    assert demand.total == 3 * GIB


def test_a_cache_of_a_given_size_is_that_large_whatever_the_share() -> None:
    """vLLM then takes it, and no longer looks at the share."""
    without, given = engine_demand(TOY, ENGINE, CARD), msgspec.structs.replace(ENGINE, cache=320, share=0.01)
    demand = engine_demand(TOY, given, CARD)
    assert demand.of("KV cache") == 320
    assert demand.total == without.total - without.of("KV cache") + 320
    assert cached_tokens(TOY, given, CARD) == 10


def test_a_cached_token_is_keys_and_values_of_all_layers() -> None:
    # Keys and values, two layers, two heads of width two, two bytes.
    assert cache_bytes_per_token(TOY, ENGINE) == 2 * 2 * 2 * 2 * 2 == 32
    assert cached_tokens(TOY, ENGINE, CARD) == engine_demand(TOY, ENGINE, CARD).of("KV cache") // 32


@pytest.mark.parametrize(("ways", "bytes_each"), [(1, 32), (2, 16), (4, 16)])
def test_heads_are_dealt_to_cards_whole_and_repeated_when_there_are_too_few(ways: int, bytes_each: int) -> None:
    engine = msgspec.structs.replace(ENGINE, tensor_parallel=ways)
    assert cache_bytes_per_token(TOY, engine) == bytes_each


def test_cards_of_one_engine_share_its_weights() -> None:
    engine = msgspec.structs.replace(ENGINE, tensor_parallel=2)
    demand = engine_demand(TOY, engine, CARD)
    assert demand.of("weights") == 1304
    assert demand.of("working space") == 5 * 2 * (16 + 16) + 3 * 4 * 3 * 10


def test_nothing_is_cached_where_the_weights_alone_are_too_large() -> None:
    large = PUBLISHED["Qwen/Qwen2.5-7B"]
    assert engine_demand(large, ENGINE, CARD).of("KV cache") < 0
    assert cached_tokens(large, ENGINE, CARD) == 0


def test_new_weights_arrive_through_two_gib_at_most() -> None:
    assert transfer_buffers(TOY, ENGINE) == 2 * 1304
    assert transfer_buffers(PUBLISHED["Qwen/Qwen2.5-7B"], ENGINE) == 2 * GIB


def test_the_cache_of_a_published_model_is_the_known_figure() -> None:
    """57,344 bytes a token: 28 layers, 4 heads of 128, keys and values in bf16."""
    assert cache_bytes_per_token(PUBLISHED["Qwen/Qwen2.5-7B"], ENGINE) == 57_344
