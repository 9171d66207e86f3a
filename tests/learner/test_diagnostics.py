"""Diagnostics by hand, and additive over any cut."""

from __future__ import annotations

import math

import pytest
import torch

from learner.diagnostics import RatioSums


def test_two_tokens_by_hand() -> None:
    # ρ = 2 and .5: log ρ = ±.6931.
    sums = RatioSums.of(torch.tensor([0.4, 0.1]).log(), torch.tensor([0.2, 0.2]).log())
    report = sums.report()
    assert report["k1"] == pytest.approx(0.0, abs=1e-6)
    assert report["k3"] == pytest.approx((2 - 1 - math.log(2) + 0.5 - 1 + math.log(2)) / 2, rel=1e-5)
    assert report["chi2"] == pytest.approx((4 + 0.25) / 2 - 1, rel=1e-5)
    assert report["ess"] == pytest.approx(2.5**2 / (2 * 4.25), rel=1e-5)
    assert report["perplexity_gap"] == pytest.approx(1.0, rel=1e-5)


def test_equal_policies_show_no_divergence_and_a_full_effective_sample() -> None:
    logprobs = -torch.rand(100)
    report = RatioSums.of(logprobs, logprobs).report()
    assert report["k1"] == report["k3"] == report["chi2"] == report["extreme_fraction"] == 0.0
    assert report["ess"] == report["perplexity_gap"] == 1.0


def test_extreme_tokens_are_those_outside_a_factor_of_two() -> None:
    sums = RatioSums.of(torch.tensor([0.9, 0.5, 0.1]).log(), torch.tensor([0.4, 0.5, 0.4]).log())
    assert sums.report()["extreme_fraction"] == pytest.approx(2 / 3)


def test_sums_of_parts_are_the_sums_of_the_whole() -> None:
    generator = torch.Generator().manual_seed(0)
    learner, engine = (-torch.rand(64, dtype=torch.float64, generator=generator) for _ in range(2))
    whole = RatioSums.of(learner, engine)
    parts = RatioSums.of(learner[:13], engine[:13]) + RatioSums.of(learner[13:], engine[13:])
    assert parts.report() == pytest.approx(whole.report())


def test_an_empty_batch_reports_nothing() -> None:
    assert RatioSums().report() == {}
