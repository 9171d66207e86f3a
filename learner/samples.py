"""What the learner trains on, and its packed tensors.

Owns `Sample` (one response ready for the gradient) and `StepBatch` (a step's samples, seen alike by all ranks). A
step's bodies may live elsewhere; what every rank must know of all of them is their lengths.

    StepBatch ── pack ──► indices of a micro-batch ── collate ──► MicroBatch (flat tensors on the device)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from learner.attention.base import PackedRows
from learner.packing import layout


@dataclass(frozen=True)
class Sample:
    """One response with its advantage."""

    prompt_ids: npt.NDArray[np.int32]
    response_ids: npt.NDArray[np.int32]
    behaviour_logprobs: npt.NDArray[np.float32]
    advantage: float
    weight: float = 1.0
    """Loss weight of its cell."""
    prompt: int = 0
    """Equal for responses to one prompt."""
    token_steps: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    """Learner step of the weights that sampled each token; empty when nobody needs it."""

    @property
    def length(self) -> int:
        """Tokens of prompt and response."""
        return len(self.prompt_ids) + len(self.response_ids)


@dataclass(frozen=True)
class StepBatch:
    """The samples of one learner step."""

    samples: Sequence[Sample]
    step: int
    """Steps the weights had behind them when this step began."""

    def lengths(self) -> npt.NDArray[np.int64]:
        """Tokens of each sample."""
        return np.array([sample.length for sample in self.samples], dtype=np.int64)

    def response_lengths(self) -> npt.NDArray[np.int64]:
        """Response tokens of each sample."""
        return np.array([len(sample.response_ids) for sample in self.samples], dtype=np.int64)


@dataclass(frozen=True)
class MicroBatch:
    """A packed row of whole samples, and where its response tokens are predicted."""

    input_ids: Tensor
    """[1, tokens]"""
    position_ids: Tensor
    """[1, tokens]"""
    rows: PackedRows
    scored: Tensor
    """Places in the row whose next token is a response token."""
    targets: Tensor
    """Those response tokens."""
    behaviour: Tensor
    advantages: Tensor
    token_steps: Tensor
    sequence: Tensor
    """Index, within the micro-batch, of each response token's sample."""
    indices: tuple[int, ...]
    """The samples' places in the step's batch."""


#: A rank without work still takes part in every collective: it runs one token that nobody scores.
_IDLE = Sample(np.zeros(1, np.int32), np.zeros(0, np.int32), np.zeros(0, np.float32), 0.0)


def collate(samples: Sequence[Sample], indices: Sequence[int], device: torch.device) -> MicroBatch:
    """The micro-batch of these samples; with none, a row of one token of which nothing is scored."""
    chosen = [samples[index] for index in indices] or [_IDLE]
    where = layout([sample.length for sample in chosen])
    starts = where.cumulative_lengths[:-1]
    responses = [len(sample.response_ids) for sample in chosen]
    # The token at place p is predicted at p - 1: the first response token from the prompt's last.
    scored = [
        np.arange(start + len(sample.prompt_ids) - 1, start + sample.length - 1)
        for start, sample in zip(starts, chosen, strict=True)
    ]
    steps = [
        sample.token_steps if len(sample.token_steps) else np.zeros(len(sample.response_ids), dtype=np.int64)
        for sample in chosen
    ]

    def to(array: npt.NDArray[np.generic], dtype: torch.dtype) -> Tensor:
        return torch.as_tensor(np.ascontiguousarray(array)).to(device=device, dtype=dtype)

    ids = np.concatenate([part for sample in chosen for part in (sample.prompt_ids, sample.response_ids)])
    return MicroBatch(
        input_ids=to(ids, torch.long)[None],
        position_ids=to(where.positions, torch.long)[None],
        rows=PackedRows(to(where.cumulative_lengths, torch.int32), where.longest),
        scored=to(np.concatenate(scored), torch.long),
        targets=to(np.concatenate([sample.response_ids for sample in chosen]), torch.long),
        behaviour=to(np.concatenate([sample.behaviour_logprobs for sample in chosen]), torch.float32),
        advantages=to(np.repeat([sample.advantage for sample in chosen], responses), torch.float32),
        token_steps=to(np.concatenate(steps), torch.long),
        sequence=to(np.repeat(np.arange(len(chosen)), responses), torch.long),
        indices=tuple(indices),
    )
