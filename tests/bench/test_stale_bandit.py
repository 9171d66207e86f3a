"""The toy: exact, seeded, and able to tell a corrected loss from an uncorrected one."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from azr.bench import Report
from azr.config.sections.algorithm import LossConfig
from benchmarks import stale_bandit
from benchmarks.stale_bandit import CONTENDERS, PROMPTS, VOCABULARY, end_of, learn, rewards


def test_one_response_in_twelve_is_right_and_each_prompt_has_some() -> None:
    # For each second token there is one first token that closes the sum.
    assert rewards().sum(axis=1).tolist() == [VOCABULARY] * PROMPTS


def test_the_first_value_is_that_of_a_nearly_uniform_policy() -> None:
    # 12 of 18² pairs, because prompts' own tokens can be sampled too and earn nothing.
    first = next(learn(LossConfig(name="ppo", weight="none"), 8, 1, 0))
    assert first == pytest.approx(VOCABULARY / (VOCABULARY + PROMPTS) ** 2, rel=0.35)


def test_the_same_seed_learns_the_same_curve() -> None:
    def curve(seed: int) -> list[float]:
        return list(learn(LossConfig(name="cispo", weight="none"), 2, 4, seed))

    assert curve(1) == curve(1)
    assert curve(1) != curve(2)


def test_with_fresh_data_correction_changes_nothing() -> None:
    plain, corrected = (
        list(learn(LossConfig(name="reinforce", weight=weight), 0, 6, 0)) for weight in ("none", "sequence_tis")
    )
    assert plain == pytest.approx(corrected, abs=1e-4)


@pytest.mark.soak
def test_corrected_losses_reach_the_optimum_from_data_eight_steps_old_and_the_uncorrected_one_does_not() -> None:
    for contender in CONTENDERS:
        end = np.median([end_of(np.array(list(learn(contender.loss, 8, 300, seed)))) for seed in range(3)])
        assert (end >= 0.95) == contender.corrected, (contender.name, end)


def test_half_way_correction_is_already_ahead() -> None:
    """The short form: a hundred steps of one seed."""

    def reached(loss: LossConfig) -> float:
        return list(learn(loss, 8, 100, 0))[-1]

    plain = LossConfig(name="reinforce", weight="none")
    assert reached(replace(plain, weight="sequence_tis")) > reached(plain) + 0.1


def test_a_run_judges_ends_and_draws_curves(tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    stale_bandit.add_arguments(parser)
    report = Report("stale-bandit", "azr bench stale-bandit")
    options = ["--steps", "3", "--seeds", "1", "--staleness", "1", "--curves", str(tmp_path / "curves.png")]
    stale_bandit.run(parser.parse_args(options), report)
    result = report.result()
    assert [measure.name for measure in result.measures] == [each.name for each in CONTENDERS] + [
        "reinforce, fresh data"
    ]
    assert len(result.goals) == len(CONTENDERS)
    assert (tmp_path / "curves.png").stat().st_size > 1000
