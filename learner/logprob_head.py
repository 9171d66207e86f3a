"""Log-probabilities of sampled tokens from hidden states, without ever holding tokens x vocabulary.

Owns the last layer's forward and backward. Called by the model wrapper with the hidden states of response tokens only
(gathered first: prompts are not scored). The logits of a chunk of tokens live for the time of that chunk and are
computed again in the backward pass, which costs one more matrix product and saves the whole logits, their softmax and
their gradient: at 32k tokens and a vocabulary of 152k, twenty gigabytes each.

    hidden [tokens, width] ──chunks──► logits [chunk, vocabulary] ──► log p(token), entropy
                                        fp32 log-softmax, freed at once

What is done to a chunk's logits is done by `learner.chunk_scores`: step by step on a CPU, as one kernel on a GPU, where
reading and writing them costs more than the products.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from learner.chunk_scores import score, slope

#: Logits held at a time are at most this many elements (64 Mi, 256 MB in fp32; two such buffers live in the backward).
CHUNK_ELEMENTS = 1 << 26
#: On a GPU, where they are held in half precision (1 GB each) and each chunk's turn reads and writes the weight's whole
#: gradient: few large ones.
GPU_CHUNK_ELEMENTS = 1 << 29


def token_logprobs(
    hidden: Tensor,
    weight: Tensor,
    tokens: Tensor,
    *,
    temperature: float = 1.0,
    with_entropy: bool = False,
    chunk_elements: int | None = None,
) -> tuple[Tensor, Tensor | None]:
    """log softmax(hidden · weightᵀ / temperature) at `tokens`, and the entropy of each distribution if asked for.

    hidden: [tokens, width], weight: [vocabulary, width], tokens: [tokens]. The products run in the dtype of the
    inputs, all that follows in at least fp32. Both results carry gradients to `hidden` and `weight`.
    """
    if hidden.ndim != 2 or weight.ndim != 2 or tokens.shape != hidden.shape[:1]:
        raise ValueError(
            f"need hidden [n, width], weight [vocabulary, width], tokens [n]; got {tuple(hidden.shape)}, "
            f"{tuple(weight.shape)}, {tuple(tokens.shape)}"
        )
    elements = chunk_elements or (GPU_CHUNK_ELEMENTS if hidden.is_cuda else CHUNK_ELEMENTS)
    rows = max(1, elements // weight.shape[0])
    logprobs, entropy = _LogProbHead.apply(  # type: ignore[no-untyped-call]
        hidden, weight, tokens, 1.0 / temperature, with_entropy, rows
    )
    return logprobs, entropy if with_entropy else None


class _LogProbHead(torch.autograd.Function):
    """Forward and backward over chunks of tokens; saves inputs and one normaliser a token."""

    @staticmethod
    def forward(
        context: Any, hidden: Tensor, weight: Tensor, tokens: Tensor, inverse: float, with_entropy: bool, rows: int
    ) -> tuple[Tensor, Tensor]:
        """Log-probs and entropies, chunk by chunk."""
        precision = torch.float64 if hidden.dtype == torch.float64 else torch.float32
        count = hidden.shape[0]
        logprobs = hidden.new_empty(count, dtype=precision)
        normalisers = hidden.new_empty(count, dtype=precision)
        entropies = hidden.new_zeros(count if with_entropy else 0, dtype=precision)
        for start in range(0, count, rows):
            chunk = slice(start, start + rows)
            normalisers[chunk], logprobs[chunk], entropy = score(
                hidden[chunk] @ weight.t(), tokens[chunk], inverse, with_entropy=with_entropy
            )
            if entropy is not None:
                entropies[chunk] = entropy
        context.save_for_backward(hidden, weight, tokens, normalisers, entropies)
        # An entropy that is only reported has no gradient, and would get one of zeros to compute with.
        context.set_materialize_grads(False)
        context.inverse, context.rows = inverse, rows
        return logprobs, entropies

    @staticmethod
    @once_differentiable
    def backward(
        context: Any, grad_logprobs: Tensor | None, grad_entropies: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        """Gradients by recomputing each chunk's logits."""
        hidden, weight, tokens, normalisers, entropies = context.saved_tensors
        if grad_logprobs is None:
            grad_logprobs = torch.zeros_like(normalisers)
        wants_hidden, wants_weight = context.needs_input_grad[:2]
        grad_hidden = torch.empty_like(hidden) if wants_hidden else None
        # Summed over chunks in the precision of the products' results, so that many chunks do not lose small terms.
        grad_weight = torch.zeros_like(weight, dtype=normalisers.dtype) if wants_weight else None
        for start in range(0, hidden.shape[0], context.rows):
            chunk = slice(start, start + context.rows)
            # One expression, so that the logits end with it.
            gradient = slope(
                hidden[chunk] @ weight.t(),
                normalisers[chunk, None],
                tokens[chunk, None],
                grad_logprobs[chunk, None],
                None if grad_entropies is None else (entropies[chunk, None], grad_entropies[chunk, None]),
                context.inverse,
            )
            if grad_hidden is not None:
                grad_hidden[chunk] = gradient @ weight
            if grad_weight is not None:
                grad_weight += gradient.t() @ hidden[chunk]
            del gradient  # or it would live on beside the next chunk's
        return grad_hidden, None if grad_weight is None else grad_weight.to(weight.dtype), None, None, None, None
