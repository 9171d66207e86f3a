"""Keeps samples that would poison a batch out of it.

An engine may return nan or -inf as a token's log-probability (a broken kernel, a token outside top-p). One such token
makes every ratio of its batch nan. The whole sample is dropped and counted, never patched: a made-up log-probability
would be trained on as if it had been sampled from. Called where a batch enters the learner.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Reason = Literal["nan_logprob", "infinite_logprob", "positive_logprob", "length_mismatch", "empty_response"]

#: Rounding in bf16 can lift log p = 0 by this much; anything above is not a log-probability.
POSITIVE_TOLERANCE = 1e-2


@dataclass(frozen=True)
class Screening:
    """Which samples may be trained on, and why the others may not."""

    kept: list[int]
    dropped: dict[int, Reason]


def reason_to_drop(response_tokens: int, logprobs: npt.NDArray[np.float32]) -> Reason | None:
    """Why a sample with these behaviour log-probs cannot be trained on, or None."""
    if response_tokens == 0:
        return "empty_response"
    if len(logprobs) != response_tokens:
        return "length_mismatch"
    if np.isnan(logprobs).any():
        return "nan_logprob"
    if np.isinf(logprobs).any():
        return "infinite_logprob"
    if (logprobs > POSITIVE_TOLERANCE).any():
        return "positive_logprob"
    return None


def screen(response_tokens: Sequence[int], logprobs: Sequence[npt.NDArray[np.float32]]) -> Screening:
    """Split samples, by index, into those that may be trained on and those that may not."""
    dropped: dict[int, Reason] = {}
    kept: list[int] = []
    for index, (tokens, values) in enumerate(zip(response_tokens, logprobs, strict=True)):
        reason = reason_to_drop(tokens, values)
        if reason is None:
            kept.append(index)
        else:
            dropped[index] = reason
    return Screening(kept, dropped)
