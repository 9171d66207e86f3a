"""The same batch gives the same gradient however it is cut."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from azr.config.sections.algorithm import LossConfig
from learner.aggregation import Aggregation, sequence_coefficients
from learner.losses.base import TokenBatch
from learner.objective import Objective
from learner.packing import pack
from tests.learner.examples import random_batch

LENGTHS = np.array([3, 1, 6])
PROMPTS = np.array([7, 7, 9])
ONES = np.ones(3)


def test_token_mean_counts_each_token_the_same() -> None:
    assert sequence_coefficients("token_mean", LENGTHS, PROMPTS, ONES).tolist() == pytest.approx([0.1, 0.1, 0.1])


def test_sequence_mean_counts_each_response_the_same() -> None:
    # 1/(3·3), 1/(3·1), 1/(3·6)
    expected = [1 / 9, 1 / 3, 1 / 18]
    assert sequence_coefficients("sequence_mean", LENGTHS, PROMPTS, ONES).tolist() == pytest.approx(expected)


def test_prompt_mean_counts_each_prompt_the_same_and_its_tokens_alike() -> None:
    # Prompt 7 has 4 tokens, prompt 9 has 6: 1/(2·4) twice, 1/(2·6).
    expected = [1 / 8, 1 / 8, 1 / 12]
    assert sequence_coefficients("prompt_mean", LENGTHS, PROMPTS, ONES).tolist() == pytest.approx(expected)


def test_constant_length_never_divides_by_a_length() -> None:
    result = sequence_coefficients("constant_length", LENGTHS, PROMPTS, ONES, constant_length=100)
    assert result.tolist() == pytest.approx([1 / 300] * 3)


def test_chunk_token_mean_averages_chunks_equally() -> None:
    # Chunks of two: 4 tokens and 6 tokens: 1/(2·4) twice, 1/(2·6).
    result = sequence_coefficients("chunk_token_mean", LENGTHS, PROMPTS, ONES, chunk_sequences=2)
    assert result.tolist() == pytest.approx([1 / 8, 1 / 8, 1 / 12])


def test_cell_weights_multiply() -> None:
    weighted = sequence_coefficients("token_mean", LENGTHS, PROMPTS, np.array([1.0, 2.0, 0.0]))
    assert weighted.tolist() == pytest.approx([0.1, 0.2, 0.0])


@pytest.mark.parametrize("aggregation", ["token_mean", "sequence_mean", "prompt_mean", "chunk_token_mean"])
def test_a_loss_of_one_everywhere_is_one(aggregation: Aggregation) -> None:
    generator = np.random.default_rng(0)
    lengths = generator.integers(1, 50, 40)
    coefficients = sequence_coefficients(
        aggregation, lengths, generator.integers(0, 9, 40), np.ones(40), chunk_sequences=7
    )
    assert float((coefficients * lengths).sum()) == pytest.approx(1.0)


def test_an_empty_batch_has_no_coefficients() -> None:
    empty = np.zeros(0, dtype=np.int64)
    assert sequence_coefficients("token_mean", empty, empty, np.zeros(0)).tolist() == []


def test_bad_input_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="without response tokens"):
        sequence_coefficients("token_mean", np.array([0]), np.array([0]), np.ones(1))
    with pytest.raises(ValueError, match="differ: 3, 2, 3"):
        sequence_coefficients("token_mean", LENGTHS, PROMPTS[:2], ONES)
    with pytest.raises(ValueError, match="positive constant_length"):
        sequence_coefficients("constant_length", LENGTHS, PROMPTS, ONES)
    with pytest.raises(ValueError, match="positive chunk_sequences"):
        sequence_coefficients("chunk_token_mean", LENGTHS, PROMPTS, ONES)
    with pytest.raises(ValueError, match="known: token_mean, sequence_mean"):
        sequence_coefficients("median", LENGTHS, PROMPTS, ONES)  # type: ignore[arg-type]


def select(batch: TokenBatch, wanted: list[int]) -> tuple[TokenBatch, torch.Tensor]:
    """The micro-batch of these sequences, and the places of its tokens in the whole."""
    places = torch.cat([(batch.sequence == index).nonzero().squeeze(1) for index in wanted])
    renumbered = torch.cat(
        [torch.full((int((batch.sequence == old).sum()),), new) for new, old in enumerate(wanted)]
    ).long()
    part = replace(
        batch,
        current=batch.current[places],
        proximal=batch.proximal[places],
        behaviour=batch.behaviour[places],
        advantages=batch.advantages[places],
        sequence=renumbered,
        sequences=len(wanted),
    )
    return part, places


@pytest.mark.parametrize("loss", ["ppo", "decoupled_ppo", "cispo", "gspo", "dppo_tv", "reinforce"])
@pytest.mark.parametrize("aggregation", ["token_mean", "sequence_mean", "prompt_mean", "constant_length"])
@pytest.mark.parametrize(("budget", "ranks"), [(12, 1), (20, 2), (37, 3), (1000, 1)])
def test_any_cut_gives_the_gradient_of_the_whole(loss: str, aggregation: Aggregation, budget: int, ranks: int) -> None:
    generator = np.random.default_rng(budget)
    lengths = tuple(int(length) for length in generator.integers(1, 12, 15))
    batch = random_batch(5, lengths)
    coefficients = torch.tensor(
        sequence_coefficients(
            aggregation, np.array(lengths), generator.integers(0, 4, 15), np.ones(15), constant_length=12
        )
    )
    weight = torch.tensor(generator.uniform(0.0, 2.0, sum(lengths)))
    objective = Objective(LossConfig(name=loss, weight="none"))

    whole, _ = objective.loss(batch, weight, coefficients)
    (expected,) = torch.autograd.grad(whole, batch.current)
    total, gradient = 0.0, torch.zeros_like(expected)
    for rank in pack(lengths, budget, ranks).bins:
        for wanted in rank:
            if wanted:
                part, places = select(batch, list(wanted))
                value, _ = objective.loss(part, weight[places], coefficients[list(wanted)])
                gradient += torch.autograd.grad(value, batch.current)[0]
                total += float(value.detach())
    assert total == pytest.approx(float(whole.detach()), abs=1e-12)
    torch.testing.assert_close(gradient, expected, atol=1e-12, rtol=1e-9)


def test_metrics_of_micro_batches_add_up_to_those_of_the_whole() -> None:
    batch = random_batch(2, (4, 4, 4, 4))
    objective = Objective(LossConfig(name="ppo", weight="none"))
    coefficients, weight = torch.full((4,), 1 / 16, dtype=torch.float64), torch.ones(16, dtype=torch.float64)
    _, whole = objective.loss(batch, weight, coefficients)
    parts = [objective.loss(select(batch, [i])[0], weight[:4], coefficients[:1])[1] for i in range(4)]
    for name, share in whole.items():
        summed = sum(float(part[name].total) for part in parts) / sum(float(part[name].count) for part in parts)
        assert summed == pytest.approx(float(share.total / share.count))
