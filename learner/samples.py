"""What the learner trains on, and its packed tensors.

Owns `Sample` (one response ready for the gradient) and `StepBatch` (a step's samples, seen alike by all ranks). A
step's bodies may live elsewhere; what every rank must know of all of them is their lengths.

    StepBatch ── pack ──► units of a micro-batch ── collate ──► MicroBatch (flat tensors on the device)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from learner.attention.base import PackedRows
from learner.layout import Tree, layout


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

    @property
    def inputs(self) -> int:
        """Tokens that must be computed: a response's last predicts nothing that counts."""
        return len(self.prompt_ids) + max(0, len(self.response_ids) - 1)


@dataclass(frozen=True)
class StepBatch:
    """The samples of one learner step."""

    samples: Sequence[Sample]
    step: int
    """Steps the weights had behind them when this step began."""
    prepare_seconds: float = 0.0
    """How long its source was at work on it, beside waiting for what it is made of."""

    def lengths(self) -> npt.NDArray[np.int64]:
        """Tokens of each sample."""
        return np.array([sample.length for sample in self.samples], dtype=np.int64)

    def response_lengths(self) -> npt.NDArray[np.int64]:
        """Response tokens of each sample."""
        return np.array([len(sample.response_ids) for sample in self.samples], dtype=np.int64)


@dataclass(frozen=True)
class MicroBatch:
    """A packed row of whole samples, and where its response tokens are predicted: a prompt's last token predicts the
    first of every response to it."""

    input_ids: Tensor
    """[1, tokens]"""
    position_ids: Tensor
    """[1, tokens]"""
    rows: PackedRows
    scored: Tensor
    """The place in the row at which each response token is predicted."""
    targets: Tensor
    """The response tokens."""
    behaviour: Tensor
    advantages: Tensor
    token_steps: Tensor
    sequence: Tensor
    """Index, within the micro-batch, of each response token's sample."""
    indices: tuple[int, ...]
    """The samples' places in the step's batch."""


#: A rank without work still takes part in every collective: it runs one token that nobody scores.
_IDLE = Sample(np.zeros(1, np.int32), np.zeros(0, np.int32), np.zeros(0, np.float32), 0.0)


def collate(samples: Sequence[Sample], units: Sequence[Sequence[int]], device: torch.device) -> MicroBatch:
    """The micro-batch of these units, each of samples with one prompt; with none, a row of one token, not scored."""
    batches = [[samples[index] for index in unit] for unit in units] or [[_IDLE]]
    chosen = [sample for unit in batches for sample in unit]
    where = layout([_tree(unit) for unit in batches])
    responses = [len(sample.response_ids) for sample in chosen]
    ids: list[npt.NDArray[np.int32]] = []
    scored: list[npt.NDArray[np.int64]] = []
    place = 0
    for unit in batches:
        ids.append(unit[0].prompt_ids)
        place += len(unit[0].prompt_ids)
        last = place - 1
        for sample in unit:
            # A response's first token is predicted at the prompt's last, each other one at the token before it.
            inputs = sample.response_ids[:-1]
            ids.append(inputs)
            scored.append(np.array([last, *range(place, place + len(inputs))][: len(sample.response_ids)], np.int64))
            place += len(inputs)
    steps = [
        sample.token_steps if len(sample.token_steps) else np.zeros(len(sample.response_ids), dtype=np.int64)
        for sample in chosen
    ]

    def to(array: npt.NDArray[np.generic], dtype: torch.dtype) -> Tensor:
        return torch.as_tensor(np.ascontiguousarray(array)).to(device=device, dtype=dtype)

    return MicroBatch(
        input_ids=to(np.concatenate(ids), torch.long)[None],
        position_ids=to(where.positions, torch.long)[None],
        rows=PackedRows(
            to(where.cumulative_queries, torch.int32),
            where.longest_queries,
            to(where.cumulative_keys, torch.int32),
            where.longest_keys,
            None if where.key_places is None else to(where.key_places, torch.long),
        ),
        scored=to(np.concatenate(scored), torch.long),
        targets=to(np.concatenate([sample.response_ids for sample in chosen]), torch.long),
        behaviour=to(np.concatenate([sample.behaviour_logprobs for sample in chosen]), torch.float32),
        advantages=to(np.repeat([sample.advantage for sample in chosen], responses), torch.float32),
        token_steps=to(np.concatenate(steps), torch.long),
        sequence=to(np.repeat(np.arange(len(chosen)), responses), torch.long),
        indices=tuple(index for unit in units for index in unit),
    )


def _tree(unit: Sequence[Sample]) -> Tree:
    """A unit of one is a plain sequence."""
    if len(unit) == 1:
        return Tree(unit[0].inputs)
    trunk = len(unit[0].prompt_ids)
    return Tree(trunk, tuple(sample.inputs - trunk for sample in unit))
