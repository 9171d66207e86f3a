"""What becomes of a chunk's logits: log-probabilities and entropies forward, their gradient backward.

Called by `learner.logprob_head` for a chunk at a time. The same formulas twice, because memory is what counts on a CPU
and passes over it on a GPU: there each is compiled to one kernel that reads the logits in the precision of the product
and writes their gradient in it, with fp32 between. On an H200 that halves the time of the whole head.

    log p(token) = logit(token) - log Z          H = log Z - E[logit]
    d log p(token) / d logit = onehot(token) - p        dH / d logit = -p (log p + H)
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor

Scores = tuple[Tensor, Tensor, Tensor | None]


def score(logits: Tensor, tokens: Tensor, inverse_temperature: float, *, with_entropy: bool) -> Scores:
    """Normaliser, log-prob and entropy of each token, in at least fp32. The logits may be overwritten."""
    if logits.is_cuda:
        scores: Scores = _compiled(fused_score)(logits, tokens, inverse_temperature, with_entropy)
        return scores
    logits = _precise(logits, inverse_temperature)
    normaliser = logits.logsumexp(dim=-1)
    logprob = logits.gather(1, tokens[:, None]).squeeze(1) - normaliser
    if not with_entropy:
        return normaliser, logprob, None
    # A logit of -inf has probability 0 and contributes nothing. In place: a third buffer of a chunk's size would be the
    # peak of the whole.
    probabilities = (logits - normaliser[:, None]).exp_()
    return normaliser, logprob, normaliser - probabilities.mul_(logits).nan_to_num_(nan=0.0).sum(dim=-1)


def slope(
    logits: Tensor,
    normaliser: Tensor,
    tokens: Tensor,
    grad_logprob: Tensor,
    entropy: tuple[Tensor, Tensor] | None,
    inverse_temperature: float,
) -> Tensor:
    """The gradient at a chunk's unscaled logits, in their precision; the logits may be overwritten.

    All but the logits are [chunk, 1]; `entropy` and its gradient come together or not at all.
    """
    if logits.is_cuda:
        found: Tensor = _compiled(fused_slope)(logits, normaliser, tokens, grad_logprob, entropy, inverse_temperature)
        return found
    dtype = logits.dtype
    log_p = _precise(logits, inverse_temperature).sub_(normaliser)
    del logits
    probabilities = log_p.exp()
    if entropy is not None:
        value, grad = entropy
        gradient = log_p.add_(value).mul_(probabilities).nan_to_num_(nan=0.0).mul_(-grad)
        gradient.addcmul_(probabilities, grad_logprob, value=-1.0)
    else:
        gradient = probabilities.mul_(-grad_logprob)
    gradient.scatter_add_(1, tokens, grad_logprob)
    return (gradient if inverse_temperature == 1.0 else gradient.mul_(inverse_temperature)).to(dtype)


def _precise(logits: Tensor, inverse_temperature: float) -> Tensor:
    """Scaled logits in at least fp32."""
    logits = logits if logits.dtype == torch.float64 else logits.float()
    return logits if inverse_temperature == 1.0 else logits * inverse_temperature


def fused_score(logits: Tensor, tokens: Tensor, inverse_temperature: float, with_entropy: bool) -> Scores:
    """`score` without a thought for memory: nothing of it is written but the results."""
    scaled = _precise(logits, inverse_temperature)
    normaliser = scaled.logsumexp(dim=-1)
    logprob = scaled.gather(1, tokens[:, None]).squeeze(1) - normaliser
    if not with_entropy:
        return normaliser, logprob, None
    weighted = (scaled - normaliser[:, None]).exp() * scaled
    return normaliser, logprob, normaliser - torch.where(scaled == -torch.inf, 0.0, weighted).sum(dim=-1)


def fused_slope(
    logits: Tensor,
    normaliser: Tensor,
    tokens: Tensor,
    grad_logprob: Tensor,
    entropy: tuple[Tensor, Tensor] | None,
    inverse_temperature: float,
) -> Tensor:
    """`slope` likewise; the token's place is found by comparing, which a kernel can do beside the rest."""
    log_p = _precise(logits, inverse_temperature) - normaliser
    probabilities = log_p.exp()
    asked = torch.arange(logits.shape[1], device=logits.device) == tokens
    gradient = (asked.to(log_p.dtype) - probabilities) * grad_logprob
    if entropy is not None:
        value, grad = entropy
        gradient = gradient - torch.where(log_p == -torch.inf, 0.0, probabilities * (log_p + value)) * grad
    return (gradient * inverse_temperature).to(logits.dtype)


@cache
def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiled at its first use, for any number of rows: a chunk may be the last, and shorter."""
    whole: Callable[..., Any] = torch.compile(function, dynamic=True)
    return whole
