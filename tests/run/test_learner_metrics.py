"""Each number of a learner step has a place in the catalogue, or is passed over on purpose."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from azr.config.sections.algorithm import LossConfig, OptimiserConfig
from azr.config.sections.learner import LearnerConfig
from azr.metrics import Accumulator
from azr.metrics.catalogue import METRICS
from azr.run.learner_metrics import catalogued, tell_step
from learner.policy import load_policy
from learner.samples import StepBatch
from learner.trainer import StepReport, Trainer
from tests.learner.tiny import random_samples, save_tiny_model


@pytest.mark.parametrize(
    ("learners", "ours"),
    [
        ("learner/loss", ("loss/policy", "")),
        ("learner/grad_norm", ("learner/grad_norm", "")),
        ("learner/clip_high_fraction", ("loss/clip_high_fraction", "")),
        ("learner/gentle_fraction", ("loss/own", "gentle_fraction")),
        ("off_policy/k1", ("off_policy/k1", "")),
        ("off_policy/mismatch_k3", ("off_policy/mismatch_k3", "")),
        ("off_policy/mismatch_ess", None),
        ("off_policy/token_tis/weight", ("off_policy/weight", "")),
        ("off_policy/token_tis/truncated_fraction", ("off_policy/truncated_fraction", "")),
        ("off_policy/m2po/m2po_masked_fraction", ("off_policy/masked_fraction", "m2po")),
    ],
)
def test_names_are_those_of_the_catalogue(learners: str, ours: tuple[str, str] | None) -> None:
    assert catalogued(learners) == ours


@pytest.mark.parametrize(
    "loss",
    [
        LossConfig(masks=["geometric", "k3", "negative_sequence", "m2po"]),
        LossConfig(name="ppo", weight="none"),
        LossConfig(name="cispo", weight="none"),
        LossConfig(name="dppo_tv", weight="none"),
        LossConfig(name="gspo", weight="sequence_tis"),
        LossConfig(name="decoupled_ppo", weight="icepop"),
        LossConfig(name="reinforce"),
    ],
    ids=lambda loss: f"{loss.name}-{loss.weight}",
)
def test_nothing_a_real_step_reports_is_lost(loss: LossConfig, tmp_path: Path) -> None:
    policy = load_policy(save_tiny_model(tmp_path / "model"), attention="sdpa")
    trainer = Trainer(
        policy, loss, OptimiserConfig(), LearnerConfig(tokens_per_micro_batch=64), device=torch.device("cpu")
    )
    report = trainer.step(StepBatch(random_samples(1, step=3), 3))
    places = {name: catalogued(name) for name in report.metrics}
    lost = {name for name, place in places.items() if place is not None and place[0] not in METRICS}
    assert lost == set()
    assert "loss/own" not in {place[0] for place in places.values() if place is not None}, "that is for plug-ins"


def test_what_a_plug_ins_loss_reports_is_kept_under_its_own_word() -> None:
    metrics = Accumulator()
    report = StepReport({"learner/gentle_fraction": 0.25}, samples=4, tokens=300, dropped={})
    tell_step(metrics, 7, report, {})
    assert metrics.report()["loss/own/gentle_fraction"] == 0.25


def test_time_is_shared_out_among_its_phases() -> None:
    metrics = Accumulator()
    report = StepReport({"learner/lr": 1e-5}, samples=4, tokens=300, dropped={2: "nan_logprob", 3: "nan_logprob"})
    tell_step(metrics, 7, report, {"wait": 1.0, "prepare": 0.5, "step": 1.0, "publish": 0.25, "checkpoint": 0.25})
    assert metrics.report() == {
        "learner/lr": 1e-5,
        "learner/step": 7.0,
        "off_policy/dropped/nan_logprob": 2.0,
        "perf/learner_idle": pytest.approx(1 / 3),
        "perf/trained_tokens_per_second": 100.0,
        "time/bookkeeping": 0.5,
        "time/checkpoint": 0.25,
        "time/publish": 0.25,
        "time/step": 3.0,
        "time/update": 1.0,
        "time/wait_for_batch": 1.0,
    }
