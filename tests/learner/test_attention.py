"""Packed attention through real transformers models: sequences see only themselves."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedModel, Qwen2Config, Qwen3Config

from learner.attention.base import PackedRows
from learner.attention.registry import BACKENDS, IMPLEMENTATION, choose, install, layout_arguments, survey
from learner.packing import layout

LENGTHS = (5, 1, 9, 3)
SHAPE = {
    "vocab_size": 50,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 64,
}


def model_of(config: object) -> PreTrainedModel:
    install("sdpa")
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(config, attn_implementation=IMPLEMENTATION).eval()


def packed(sequences: list[torch.Tensor]) -> dict[str, object]:
    """One row holding all sequences, in the form the model takes."""
    where = layout([len(sequence) for sequence in sequences])
    rows = PackedRows(torch.from_numpy(where.cumulative_lengths), where.longest)
    return {
        "input_ids": torch.cat(sequences)[None],
        "position_ids": torch.from_numpy(where.positions)[None],
        **layout_arguments(rows),
    }


@pytest.mark.parametrize("config", [Qwen2Config, Qwen3Config, LlamaConfig], ids=["qwen2", "qwen3", "llama"])
def test_packed_logits_equal_those_of_each_sequence_alone(config: Callable[..., object]) -> None:
    model = model_of(config(**SHAPE))
    generator = torch.Generator().manual_seed(1)
    sequences = [torch.randint(0, 50, (length,), generator=generator) for length in LENGTHS]
    with torch.no_grad():
        together = model(**packed(sequences)).logits[0]
        model.set_attn_implementation("eager")
        alone = torch.cat([model(input_ids=sequence[None]).logits[0] for sequence in sequences])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


def test_changing_one_sequence_changes_no_other() -> None:
    model = model_of(Qwen2Config(**SHAPE))
    first, second = torch.arange(6), torch.arange(10, 14)
    with torch.no_grad():
        before = model(**packed([first, second])).logits[0]
        after = model(**packed([first + 20, second])).logits[0]
    torch.testing.assert_close(before[6:], after[6:])
    assert not torch.allclose(before[:6], after[:6])


def test_gradients_flow_and_equal_those_of_the_sequences_alone() -> None:
    model = model_of(Qwen2Config(**SHAPE))
    sequences = [torch.arange(4), torch.arange(20, 27)]

    def gradients(outputs: torch.Tensor) -> list[torch.Tensor]:
        return [g.clone() for g in torch.autograd.grad(outputs.square().sum(), list(model.parameters()))]

    together = gradients(model(**packed(sequences)).logits[0])
    alone = gradients(torch.cat([model(**packed([sequence])).logits[0] for sequence in sequences]))
    for one, other in zip(together, alone, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_a_call_without_the_layout_is_refused() -> None:
    model = model_of(Qwen2Config(**SHAPE))
    with pytest.raises(ValueError, match="without cu_seq_lens_q"):
        model(input_ids=torch.arange(5)[None])


def test_the_survey_names_every_back_end_with_its_reason() -> None:
    said = survey()
    assert list(said) == ["flash_attention_3", "flash_attention_4", "flash_attention_2", "torch_varlen", "sdpa"]
    assert said["sdpa"] is None
    assert all(reason is None or reason.startswith("needs ") for reason in said.values())


def test_the_best_that_can_run_is_chosen() -> None:
    best = next(name for name, reason in survey().items() if reason is None)
    assert choose("auto").name == best


def test_one_that_cannot_run_is_refused_with_its_reason() -> None:
    for name, reason in survey().items():
        if reason is not None:
            with pytest.raises(ValueError, match=f"{name}' cannot run here: needs"):
                choose(name)


def test_an_unknown_one_is_refused_with_the_known() -> None:
    with pytest.raises(ValueError, match="known: auto, flash_attention_3"):
        choose("magic")


@pytest.mark.parametrize("backend", BACKENDS, ids=lambda backend: backend.name)
@pytest.mark.parametrize("width", [64, 128])
def test_each_back_end_agrees_with_the_reference(backend: object, width: int) -> None:
    """In the dtype the back end is made for; those that need a device this machine lacks are skipped by name."""
    reason = backend.unavailable()  # type: ignore[attr-defined]
    if reason is not None:
        pytest.skip(f"{backend.name} {reason}")  # type: ignore[attr-defined]
    name = backend.name  # type: ignore[attr-defined]
    device, dtype = ("cpu", torch.float32) if name == "sdpa" else ("cuda", torch.bfloat16)
    generator = torch.Generator().manual_seed(0)

    def heads(count: int) -> torch.Tensor:
        return torch.randn(sum(LENGTHS), count, width, generator=generator).to(device, dtype).requires_grad_()

    query, key, value = heads(4), heads(2), heads(2)
    rows = PackedRows(torch.tensor([0, 5, 6, 15, 18], dtype=torch.int32, device=device), 128)
    output = choose(name).attend(query, key, value, rows, width**-0.5)
    expected = dense_reference(query.float(), key.float(), value.float(), width**-0.5)
    tolerance = 1e-5 if dtype == torch.float32 else 2e-2
    torch.testing.assert_close(output.float(), expected, atol=tolerance, rtol=tolerance)
    probe = torch.randn(output.shape, generator=generator).to(device)
    gradients = torch.autograd.grad((output.float() * probe).sum(), (query, key, value), retain_graph=True)
    wanted = torch.autograd.grad((expected * probe).sum(), (query, key, value))
    for one, other in zip(gradients, wanted, strict=True):
        torch.testing.assert_close(one.float(), other.float(), atol=5 * tolerance, rtol=5 * tolerance)


def dense_reference(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float) -> torch.Tensor:
    """Attention with one dense mask over the whole row, from the definition."""
    sequence = torch.repeat_interleave(torch.arange(len(LENGTHS)), torch.tensor(LENGTHS)).to(query.device)
    places = torch.arange(len(sequence), device=query.device)
    visible = (sequence[:, None] == sequence[None, :]) & (places[:, None] >= places[None, :])
    repeats = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(repeats, 1), value.repeat_interleave(repeats, 1)
    scores = torch.einsum("qhd,khd->hqk", query, key) * scale
    weights = scores.masked_fill(~visible, -torch.inf).softmax(-1)
    return torch.einsum("hqk,khd->qhd", weights, value)
