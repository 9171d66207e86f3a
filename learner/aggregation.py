"""From per-token losses to one number, exactly, however the batch is cut.

Owns the coefficient of each sequence in a mini-batch's loss. Called by `learner.trainer` once a mini-batch, on the
lengths of the whole mini-batch over all ranks; micro-batches and ranks then only add up:

    loss = Σ over sequences s of  coefficient_s · Σ over tokens t of s  loss_t

Since the coefficients are fixed before the cut, the gradient is the same under any packing, any number of
micro-batches and any number of ranks. Masked tokens keep their place in the denominators: a mask takes a token's
gradient, it does not make the others louder.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

Aggregation = Literal["token_mean", "sequence_mean", "prompt_mean", "constant_length", "chunk_token_mean"]

Floats = npt.NDArray[np.float64]


def sequence_coefficients(
    aggregation: Aggregation,
    lengths: npt.NDArray[np.int64],
    prompts: npt.NDArray[np.int64],
    weights: Floats,
    *,
    constant_length: int | None = None,
    chunk_sequences: int | None = None,
) -> Floats:
    """The coefficient of each sequence of a mini-batch.

    lengths: response tokens of each sequence. prompts: an id equal for responses to one prompt. weights: the loss
    weight of each sequence's cell; with all weights 1, a loss of 1 at each token gives

    * `token_mean`: 1 (each token counts the same, so long responses count more);
    * `sequence_mean`: 1 (each response counts the same);
    * `prompt_mean`: 1 (each prompt counts the same, and within it each token);
    * `constant_length`: mean length / constant_length (no length ever in a denominator);
    * `chunk_token_mean`: 1 (token mean within each run of `chunk_sequences` sequences, runs averaged equally).
    """
    if not len(lengths) == len(prompts) == len(weights):
        raise ValueError(f"lengths, prompts and weights differ: {len(lengths)}, {len(prompts)}, {len(weights)}")
    if len(lengths) == 0:
        return np.zeros(0)
    if np.any(lengths <= 0):
        raise ValueError("a sequence without response tokens has no loss: drop it before aggregation")
    if aggregation == "token_mean":
        per_token = np.full(len(lengths), 1.0 / lengths.sum())
    elif aggregation == "sequence_mean":
        per_token = 1.0 / (len(lengths) * lengths)
    elif aggregation == "prompt_mean":
        _, index = np.unique(prompts, return_inverse=True)
        tokens_of_prompt = np.bincount(index, weights=lengths)
        per_token = 1.0 / (len(tokens_of_prompt) * tokens_of_prompt[index])
    elif aggregation == "constant_length":
        if constant_length is None or constant_length <= 0:
            raise ValueError("constant_length aggregation needs a positive constant_length, e.g. the response limit")
        per_token = np.full(len(lengths), 1.0 / (len(lengths) * constant_length))
    elif aggregation == "chunk_token_mean":
        if chunk_sequences is None or chunk_sequences <= 0:
            raise ValueError("chunk_token_mean aggregation needs a positive chunk_sequences")
        chunk = np.arange(len(lengths)) // chunk_sequences
        tokens_of_chunk = np.bincount(chunk, weights=lengths)
        per_token = 1.0 / (len(tokens_of_chunk) * tokens_of_chunk[chunk])
    else:
        raise ValueError(f"unknown aggregation {aggregation!r}; known: {', '.join(get_args(Aggregation))}")
    return np.asarray(per_token * weights, dtype=np.float64)
