"""Log-probabilities of sampled tokens from hidden states, without ever holding tokens x vocabulary.

Owns the last layer's forward and backward. Called by the model wrapper with the hidden states of response tokens only
(gathered first: prompts are not scored). The logits of a chunk of tokens live for the time of that chunk and are
computed again in the backward pass, which costs one more matrix product and saves the whole logits, their softmax and
their gradient: at 32k tokens and a vocabulary of 152k, twenty gigabytes each.

    hidden [tokens, width] ──chunks──► logits [chunk, vocabulary] ──► log p(token), entropy
                                        fp32 log-softmax, freed at once
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

#: Logits held at a time are at most this many elements (64 Mi, 256 MB in fp32; two such buffers live in the backward).
CHUNK_ELEMENTS = 1 << 26


def token_logprobs(
    hidden: Tensor,
    weight: Tensor,
    tokens: Tensor,
    *,
    temperature: float = 1.0,
    with_entropy: bool = False,
    chunk_elements: int = CHUNK_ELEMENTS,
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
    rows = max(1, chunk_elements // weight.shape[0])
    logprobs, entropy = _LogProbHead.apply(  # type: ignore[no-untyped-call]
        hidden, weight, tokens, 1.0 / temperature, with_entropy, rows
    )
    return logprobs, entropy if with_entropy else None


def _scaled_logits(hidden: Tensor, weight: Tensor, inverse_temperature: float) -> Tensor:
    """Logits of a chunk in at least fp32."""
    logits = hidden @ weight.t()
    logits = logits if logits.dtype == torch.float64 else logits.float()
    return logits if inverse_temperature == 1.0 else logits * inverse_temperature


def _score(
    hidden: Tensor, weight: Tensor, tokens: Tensor, inverse_temperature: float, with_entropy: bool
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Normaliser, log-prob and entropy of each token of a chunk. A function, so that its buffers end with it."""
    logits = _scaled_logits(hidden, weight, inverse_temperature)
    normaliser = logits.logsumexp(dim=-1)
    logprob = logits.gather(1, tokens[:, None]).squeeze(1) - normaliser
    if not with_entropy:
        return normaliser, logprob, None
    # H = log Z - E[logit]; a logit of -inf has probability 0 and contributes nothing. In place: a third buffer of a
    # chunk's size would be the peak of the whole.
    probabilities = (logits - normaliser[:, None]).exp_()
    return normaliser, logprob, normaliser - probabilities.mul_(logits).nan_to_num_(nan=0.0).sum(dim=-1)


def _logits_gradient(
    logits: Tensor,
    normaliser: Tensor,
    tokens: Tensor,
    grad_logprob: Tensor,
    entropy: Tensor | None,
    grad_entropy: Tensor | None,
    inverse_temperature: float,
) -> Tensor:
    """The gradient at a chunk's unscaled logits, which are overwritten; all else is [chunk, 1]."""
    log_p = logits.sub_(normaliser)
    probabilities = log_p.exp()
    if entropy is not None and grad_entropy is not None:
        # dH/dlogit = -p (log p + H)
        gradient = log_p.add_(entropy).mul_(probabilities).nan_to_num_(nan=0.0).mul_(-grad_entropy)
        gradient.addcmul_(probabilities, grad_logprob, value=-1.0)
    else:
        gradient = probabilities.mul_(-grad_logprob)
    # d log p(token)/dlogit = onehot(token) - p
    gradient.scatter_add_(1, tokens, grad_logprob)
    return gradient if inverse_temperature == 1.0 else gradient.mul_(inverse_temperature)


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
            normalisers[chunk], logprobs[chunk], entropy = _score(
                hidden[chunk], weight, tokens[chunk], inverse, with_entropy
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
            logits = _scaled_logits(hidden[chunk], weight, context.inverse)
            gradient = _logits_gradient(
                logits,
                normalisers[chunk, None],
                tokens[chunk, None],
                grad_logprobs[chunk, None],
                None if grad_entropies is None else entropies[chunk, None],
                None if grad_entropies is None else grad_entropies[chunk, None],
                context.inverse,
            ).to(hidden.dtype)
            del logits
            if grad_hidden is not None:
                grad_hidden[chunk] = gradient @ weight
            if grad_weight is not None:
                grad_weight += (gradient.t() @ hidden[chunk]).to(grad_weight.dtype)
            del gradient  # or it would live on beside the next chunk's
        return grad_hidden, None if grad_weight is None else grad_weight.to(weight.dtype), None, None, None, None
