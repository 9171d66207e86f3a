"""What is asked of an engine and what it answers; the same records travel between players and replicas.

GenerateRequest ──► Engine ──► Generation( Response × samples )
"""

from __future__ import annotations

import msgspec
import numpy as np
import numpy.typing as npt

from azr.game.types import Version, VersionSpan


class GenerateRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Sample some responses to one prompt."""

    id: str
    """Unique among requests in flight; a retry carries the same one."""
    prompt_ids: tuple[int, ...]
    samples: int = 1
    """Responses wanted; the prompt is prefilled once for all."""
    seed: int = 0
    """Equal requests with equal seeds give equal responses under equal weights, on one engine of one kind."""
    max_tokens: int = 1024
    temperature: float = 1.0
    """0: greedy."""
    top_p: float = 1.0
    top_k: int = 0
    """Sample among this many tokens at most; 0: all."""
    stop_ids: tuple[int, ...] = ()
    """Tokens that end a response besides the model's own end tokens."""
    ignore_end: bool = False
    """Sample to `max_tokens` whatever comes; for measurements."""


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """One sampled response. Arrays are views of the message they came in."""

    token_ids: npt.NDArray[np.int32]
    """The end token included, where one was sampled."""
    logprobs: npt.NDArray[np.float32]
    """Of each token, as it was sampled from: after temperature, top-p and top-k."""
    spans: tuple[VersionSpan, ...]
    """Which weights made which tokens; without gaps, from 0 to the end."""
    truncated: bool = False
    """It was cut off at `max_tokens` or at the longest sequence that the engine takes."""
    text: str = ""
    """The response as text, without end tokens; empty for a model without a tokenizer. Hostile, like all model text."""


class Generation(msgspec.Struct, frozen=True, kw_only=True):
    """All responses to a request, by one engine."""

    request: str
    """The request's id."""
    responses: tuple[Response, ...]
    replica: str = ""
    """Who sampled them."""
    seconds: float = 0.0
    """From the request's arrival at the replica to its answer."""


class EngineStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """How an engine is doing. Counts are since its start; who wants rates subtracts two of these."""

    seconds: float = 0.0
    """Since it stood."""
    running: int = 0
    """Responses being sampled."""
    waiting: int = 0
    """Responses queued in the engine."""
    kv_use: float = 0.0
    """Share of the KV cache in use."""
    generated_tokens: int = 0
    requests: int = 0
    """Requests answered."""
    prefix_queries: int = 0
    """Prompt tokens looked up in the prefix cache."""
    prefix_hits: int = 0
    preempted: int = 0
    """Times that a response's cache was taken: for others, or by an update of weights that has caches recomputed
    (`weights.kv_on_update`), which takes those of all that run. vLLM counts both as one."""
    busy_seconds: float = 0.0
    """Time in which something was being sampled."""
    updates: int = 0
    """Changes of weights."""


class UpdateTimes(msgspec.Struct, frozen=True, kw_only=True):
    """What one change of weights cost one engine, in seconds."""

    version: Version
    stage: float
    """Weights brought to hand and checked, sampling going on."""
    pause: float
    """Until the engine stood still."""
    apply: float
    """Weights put in place, the engine standing still."""
    resume: float
    """Until it was told to go on."""
    size: int = 0
    """Bytes of weights."""
    loaded: str = ""
    """Checksum of the weights as the engine holds them; equal on all engines of one kind."""
