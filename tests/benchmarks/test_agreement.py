"""The benchmark of agreement: its divergence by hand, and a whole small run with the real engine and learner."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pytest

from azr.bench import Report
from benchmarks import agreement
from benchmarks.model_shapes import SHAPES
from benchmarks.replicas import model_folder


def arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    agreement.add_arguments(parser)
    return parser.parse_args(words)


def test_the_divergence_by_hand() -> None:
    """Ratios of 2 and 1/2: 2 - 1 - log 2 and 1/2 - 1 + log 2, in the mean a quarter."""
    assert agreement.k3(np.log(np.array([2.0, 0.5]))) == pytest.approx(0.25)
    assert agreement.k3(np.zeros(3)) == 0.0


def test_engine_and_learner_agree_in_full_precision() -> None:
    report = Report("agreement", "azr bench agreement")
    agreement.run(arguments("--prompts", "3", "--samples", "2", "--tokens", "16", "--exact"), report)
    result = report.result()
    found = {measure.name: measure.median for measure in result.measures}
    assert found["float32: tokens compared"] == 3 * 2 * 16
    # The goal is of far more tokens, and judged by the benchmark; what rounds otherwise on another machine is no fault.
    assert 0.0 < found["float32: largest gap"] < 1e-4
    assert [goal.name for goal in result.goals] == ["largest gap in full precision"]
    sides = [found[f"float32: {side} to double precision, largest"] for side in ("engine", "learner")]
    assert all(0.0 < side < 1e-4 for side in sides)
    assert found["float32: largest gap"] <= sum(sides) + 1e-12, "no gap is larger than both sides' ways from the truth"


def test_a_published_shape_is_a_whole_model_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from transformers import AutoModelForCausalLM, AutoTokenizer

    monkeypatch.setitem(SHAPES, "small", replace(SHAPES["tiny"], layers=1, tied=False))
    folder = model_folder("small", tmp_path)
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert model.config.eos_token_id == AutoTokenizer.from_pretrained(folder).eos_token_id
    assert len(model.model.layers) == 1
    assert not model.lm_head.weight.equal(model.model.embed_tokens.weight)
