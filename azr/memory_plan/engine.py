"""What one engine asks of each of its cards, by what vLLM holds: weights, key-value cache, working space.

Pure. Called by `azr.memory_plan.plan`. The cache is what is left of the engine's share, so the question is not whether
it fits but how many whole sequences it holds. Where its size is given, vLLM takes that, and the share is no more than
what must be free as it starts.

    share of the card, or claim on it = weights / TP + working space + graphs and context + KV cache
    besides:                            buffers through which new weights arrive
"""

from __future__ import annotations

import math
from typing import Literal

import msgspec

from azr.memory_plan.cards import GIB, Card
from azr.memory_plan.demand import Demand, Item
from azr.memory_plan.shapes import Shape

#: Captured graphs and the CUDA context of an engine's worker.
GRAPHS = 2 * GIB

#: New weights arrive tensor by tensor, beside what vLLM keeps of a layer until it is whole: less than this in all
#: models planned for here.
TRANSFER = 2 * GIB

_FULL = 4

Sent = Literal["no", "by tensor", "whole"]


class Engine(msgspec.Struct, frozen=True, kw_only=True):
    """How engines are set up, as far as memory cares."""

    replicas: int
    tensor_parallel: int
    share: float
    """Of a card's memory, that one engine may take."""
    running: int
    """Sequences generated at a time."""
    sequence_tokens: int
    """Longest prompt and response together."""
    batched_tokens: int = 8192
    """Tokens of one forward pass."""
    cache: int = 0
    """Bytes of the cache on each card; 0: what the share leaves."""
    width: int = 2
    """Bytes of a weight and of a cached value."""
    card_share: float = 1.0
    """Of each of its cards, what Ray sets aside for it; below 1 others live on the card as well."""
    sent: Sent = "no"
    """From the learner's card, new weights: not at all where a file brings them, `by tensor` (`nccl`), or `whole`
    (`ipc`, whose sender keeps all tensors until the engines have copied them)."""


def engine_demand(shape: Shape, engine: Engine, card: Card) -> Demand:
    """What one engine asks of each of its cards; "KV cache" is what its share leaves, negative if nothing, unless its
    size is given."""
    ways = engine.tensor_parallel
    weights = math.ceil(engine.width * shape.parameters / ways)
    # One layer's widest moment (gate and up, or queries, keys and values), the residual stream and its copy.
    widest = max(2 * shape.intermediate, shape.query_width + 2 * shape.kv_width) / ways + 2 * shape.hidden
    # Logits in fp32, processed and as log-probabilities: of one token of each running sequence.
    logits = 3 * _FULL * engine.running * shape.vocabulary
    working = math.ceil(engine.batched_tokens * engine.width * widest) + logits
    cache = engine.cache or math.floor(engine.share * card.memory) - weights - working - GRAPHS
    return Demand(
        (
            Item("weights", weights),
            Item("working space", working),
            Item("graphs and context", GRAPHS),
            Item("KV cache", cache),
        )
    )


def transfer_buffers(shape: Shape, engine: Engine) -> int:
    """Through which new weights arrive, outside the engine's share."""
    return min(TRANSFER, engine.width * shape.parameters)


def cache_bytes_per_token(shape: Shape, engine: Engine) -> int:
    """On each card; a head is never split, so that with more cards than key-value heads they are repeated."""
    heads = math.ceil(shape.kv_heads / engine.tensor_parallel)
    return 2 * shape.layers * heads * shape.head_width * engine.width


def cached_tokens(shape: Shape, engine: Engine, card: Card) -> int:
    """Tokens that one engine's cache holds."""
    return max(0, engine_demand(shape, engine, card).of("KV cache")) // cache_bytes_per_token(shape, engine)
