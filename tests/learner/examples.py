"""Random packed batches for the learner's tests: float64, seeded, of uneven lengths."""

from __future__ import annotations

import numpy as np
import torch

from learner.corrections.base import Ratios
from learner.losses.base import TokenBatch


def random_batch(seed: int, lengths: tuple[int, ...] = (3, 1, 5, 2), spread: float = 0.5) -> TokenBatch:
    """A batch whose three policies differ by about `spread` nats a token."""
    generator = np.random.default_rng(seed)
    tokens = sum(lengths)
    behaviour = -generator.exponential(1.0, tokens) - 0.05
    proximal = np.minimum(behaviour + generator.normal(0.0, spread, tokens), -1e-3)
    current = np.minimum(proximal + generator.normal(0.0, spread, tokens), -1e-3)
    advantages = np.repeat(generator.normal(0.0, 1.5, len(lengths)), lengths)
    return TokenBatch(
        current=torch.tensor(current, dtype=torch.float64, requires_grad=True),
        proximal=torch.tensor(proximal, dtype=torch.float64),
        behaviour=torch.tensor(behaviour, dtype=torch.float64),
        advantages=torch.tensor(advantages, dtype=torch.float64),
        sequence=torch.tensor(np.repeat(np.arange(len(lengths)), lengths)),
        sequences=len(lengths),
    )


def ratios_of(batch: TokenBatch) -> Ratios:
    """What the corrections see of a batch."""
    return Ratios.of(batch.proximal, batch.behaviour, batch.advantages, batch.sequence, batch.sequences)


def hand_ratios(ratios: list[float], sequence: list[int], advantages: list[float] | None = None) -> Ratios:
    """Ratios ρ written down by hand."""
    return Ratios(
        torch.tensor(ratios, dtype=torch.float64).log(),
        torch.tensor(advantages or [1.0] * len(ratios), dtype=torch.float64),
        torch.tensor(sequence),
        max(sequence) + 1,
    )


def one_token(current: float, anchor: float, advantage: float) -> TokenBatch:
    """A batch of one token given by probabilities; behaviour and proximal policy are the same."""
    return TokenBatch(
        current=torch.tensor([current], dtype=torch.float64).log().requires_grad_(),
        proximal=torch.tensor([anchor], dtype=torch.float64).log(),
        behaviour=torch.tensor([anchor], dtype=torch.float64).log(),
        advantages=torch.tensor([advantage], dtype=torch.float64),
        sequence=torch.tensor([0]),
        sequences=1,
    )
