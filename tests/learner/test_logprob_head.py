"""The chunked head equals the plain one in value and gradient, and never holds the logits."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

from learner.logprob_head import CHUNK_ELEMENTS, token_logprobs

TOKENS, WIDTH, VOCABULARY = 37, 8, 23


def inputs(dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(TOKENS, WIDTH, dtype=dtype, generator=generator).requires_grad_()
    weight = torch.randn(VOCABULARY, WIDTH, dtype=dtype, generator=generator).requires_grad_()
    return hidden, weight, torch.randint(0, VOCABULARY, (TOKENS,), generator=generator)


def plain(
    hidden: torch.Tensor, weight: torch.Tensor, tokens: torch.Tensor, temperature: float
) -> tuple[torch.Tensor, torch.Tensor]:
    log_p = (hidden @ weight.t() / temperature).log_softmax(-1)
    return log_p.gather(1, tokens[:, None]).squeeze(1), -(log_p.exp() * log_p).sum(-1)


@pytest.mark.parametrize("chunk_elements", [1, VOCABULARY * 5, 10**9])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("with_entropy", [False, True])
def test_values_and_gradients_equal_the_plain_computation(
    chunk_elements: int, temperature: float, with_entropy: bool
) -> None:
    hidden, weight, tokens = inputs()
    probe = torch.linspace(-1.0, 2.0, TOKENS, dtype=torch.float64)
    expected, expected_entropy = plain(hidden, weight, tokens, temperature)
    objective = (probe * expected).sum() + (0.3 * probe * expected_entropy).sum() * with_entropy
    expected_gradients = torch.autograd.grad(objective, (hidden, weight))

    logprobs, entropy = token_logprobs(
        hidden, weight, tokens, temperature=temperature, with_entropy=with_entropy, chunk_elements=chunk_elements
    )
    torch.testing.assert_close(logprobs, expected)
    objective = (probe * logprobs).sum()
    if with_entropy:
        assert entropy is not None
        torch.testing.assert_close(entropy, expected_entropy)
        objective = objective + (0.3 * probe * entropy).sum()
    else:
        assert entropy is None
    gradients = torch.autograd.grad(objective, (hidden, weight))
    torch.testing.assert_close(gradients, expected_gradients)


def test_gradients_agree_with_finite_differences() -> None:
    hidden, weight, tokens = inputs()
    small = hidden.detach()[:5].requires_grad_()

    def both(h: torch.Tensor, w: torch.Tensor) -> tuple[torch.Tensor, ...]:
        logprobs, entropy = token_logprobs(h, w, tokens[:5], with_entropy=True, chunk_elements=VOCABULARY * 2)
        assert entropy is not None
        return logprobs, entropy

    assert torch.autograd.gradcheck(both, (small, weight))


def test_an_entropy_that_is_only_reported_changes_no_gradient() -> None:
    gradients = []
    for with_entropy in (False, True):
        generator = torch.Generator().manual_seed(3)
        hidden = torch.randn(6, 4, generator=generator, requires_grad=True)
        weight = torch.randn(9, 4, generator=generator, requires_grad=True)
        logprobs, entropy = token_logprobs(hidden, weight, torch.arange(6), with_entropy=with_entropy)
        assert (entropy is not None) == with_entropy
        logprobs.sum().backward()  # type: ignore[no-untyped-call]
        gradients.append((hidden.grad, weight.grad))
    for plain, beside in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, beside, rtol=0.0, atol=0.0)


def test_an_entropy_has_a_gradient_of_its_own_where_no_log_prob_is_asked_for() -> None:
    hidden = torch.tensor([[1.0, 0.0]], requires_grad=True)
    _, entropy = token_logprobs(hidden, torch.eye(2), torch.tensor([0]), with_entropy=True)
    assert entropy is not None
    entropy.sum().backward()  # type: ignore[no-untyped-call]
    p = torch.tensor([1.0, 0.0]).softmax(-1)
    expected = -p * (p.log() + (-(p * p.log()).sum()))
    torch.testing.assert_close(hidden.grad, expected[None])


def test_half_precision_inputs_give_fp32_log_probs() -> None:
    hidden, weight, tokens = inputs(torch.bfloat16)
    logprobs, _ = token_logprobs(hidden, weight, tokens)
    assert logprobs.dtype == torch.float32
    (grad,) = torch.autograd.grad(logprobs.sum(), hidden)
    assert grad.dtype == torch.bfloat16


def test_a_masked_out_logit_does_not_make_the_entropy_nan() -> None:
    hidden = torch.tensor([[1.0, 0.0]], requires_grad=True)
    weight = torch.tensor([[1.0, 0.0], [2.0, 0.0], [-torch.inf, 0.0]])
    logprobs, entropy = token_logprobs(hidden, weight, torch.tensor([0]), with_entropy=True)
    assert entropy is not None
    assert torch.isfinite(entropy).all()
    assert torch.isfinite(logprobs).all()


def test_a_frozen_weight_gets_no_gradient() -> None:
    hidden, weight, tokens = inputs()
    logprobs, _ = token_logprobs(hidden, weight.detach(), tokens)
    logprobs.sum().backward()  # type: ignore[no-untyped-call]
    assert hidden.grad is not None


def test_mismatched_shapes_are_named() -> None:
    hidden, weight, tokens = inputs()
    with pytest.raises(ValueError, match=r"need hidden \[n, width\]"):
        token_logprobs(hidden, weight, tokens[:3])


MEASURE = """
import resource, sys, torch
from learner.logprob_head import CHUNK_ELEMENTS, token_logprobs
torch.set_num_threads(1)
tokens, width, vocabulary, chunk = int(sys.argv[1]), 16, int(sys.argv[2]), int(sys.argv[3]) or CHUNK_ELEMENTS
hidden = torch.randn(tokens, width, requires_grad=True)
weight = torch.randn(vocabulary, width, requires_grad=True)
target = torch.randint(0, vocabulary, (tokens,))
token_logprobs(hidden[:8], weight, target[:8])[0].sum().backward()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
token_logprobs(hidden, weight, target, with_entropy=True, chunk_elements=chunk)[0].sum().backward()
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print((after - before) * 1024 / (tokens * vocabulary * 4))
"""


def share_of_the_logits(tokens: int, vocabulary: int, chunk_elements: int = 0) -> float:
    """Peak memory of forward and backward with entropy, in a process of its own, over the whole logits in fp32."""
    words = [sys.executable, "-c", MEASURE, str(tokens), str(vocabulary), str(chunk_elements)]
    # Buffers are given back when they are freed, as those of full size are; else the heap's holes are measured.
    settings = os.environ | {"MALLOC_MMAP_THRESHOLD_": str(1 << 20)}
    return float(subprocess.run(words, capture_output=True, check=True, timeout=900, env=settings).stdout)


def test_peak_memory_stays_below_a_twentieth_of_the_logits() -> None:
    """A quarter of the tokens and of the vocabulary, with chunks a thirty-second of what they are."""
    assert share_of_the_logits(8192, 37_984, CHUNK_ELEMENTS // 32) < 0.05


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_so_it_does_at_full_size() -> None:
    assert share_of_the_logits(32_768, 151_936) < 0.05
