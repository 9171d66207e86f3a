"""What may not be combined in an algorithm, and that what ships may run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from itertools import product

import pytest

from azr.config.load import load
from azr.config.presets import preset_names
from azr.config.sections.algorithm import AlgorithmConfig, TermConfig
from azr.config.sections.algorithm_rules import (
    AGGREGATIONS,
    ANCHORED_AT_BEHAVIOUR,
    LOSSES,
    MASKS,
    PROXIMALS,
    WEIGHTS,
    problems,
)
from azr.game.batch import quotas


def keys(change: Callable[[AlgorithmConfig], object], max_staleness: int = 4) -> list[str]:
    """Keys of the problems of the default algorithm after a change, below `algorithm`."""
    algorithm = AlgorithmConfig()
    change(algorithm)
    return [problem.key.removeprefix("algorithm.") for problem in problems(algorithm, max_staleness)]


def put(path: str, value: object) -> Callable[[AlgorithmConfig], object]:
    def change(algorithm: AlgorithmConfig) -> None:
        *parents, last = path.split(".")
        target: object = algorithm
        for parent in parents:
            target = getattr(target, parent)
        assert hasattr(target, last)
        setattr(target, last, value)

    return change


class TestPresets:
    def test_the_default_may_run_at_any_staleness(self) -> None:
        assert problems(load().algorithm, 8) == []
        assert load([], ["algorithm=default"]) == load()

    def test_the_paper_may_run(self) -> None:
        assert problems(load([], ["algorithm=paper"]).algorithm, 0) == []

    def test_the_paper_says_what_the_published_code_did(self) -> None:
        paper = load([], ["algorithm=paper"]).algorithm
        assert [(quota.cell.role, quota.sequences) for quota in quotas(paper)] == [("propose", 64), ("solve", 64)] * 3
        reward = paper.solver_reward
        assert (reward.right, reward.wrong, reward.malformed, reward.truncated) == (1.0, -0.5, -1.0, -1.0)
        assert reward.malformed_means == "tags"
        assert (paper.rating.attempts, paper.rating.trained, paper.rating.temperature) == (8, False, 1.0)
        assert (paper.proposer_reward.learnability, paper.proposer_reward.at_extremes) == ("one_minus_mean", -0.5)
        for estimator in (paper.advantages.propose, paper.advantages.solve):
            assert (estimator.name, estimator.weighting, estimator.running_weight) == ("trrpp", "token", 0.0)
            assert estimator.epsilon == 1e-8
        loss = paper.loss
        assert (loss.name, loss.weight, loss.clip_low, loss.clip_high, loss.dual_clip) == (
            "decoupled_ppo",
            "none",
            0.2,
            0.2,
            None,
        )
        assert (loss.proximal, loss.masks) == ("recompute", [])
        assert (loss.minibatches, loss.entropy_coefficient) == (1, 0.001)
        assert (loss.aggregation, loss.chunk_sequences) == ("chunk_token_mean", 16)
        optimiser = paper.optimiser
        assert (optimiser.lr, optimiser.weight_decay, optimiser.beta1, optimiser.beta2) == (1e-6, 0.01, 0.9, 0.999)
        assert (optimiser.grad_clip, optimiser.warmup_steps, optimiser.decay_updates) == (1.0, 0, 0)
        assert (paper.game.references, paper.sampling.temperature) == (6, 1.0)

    @pytest.mark.parametrize("preset", [name for name in preset_names() if "/" not in name])
    def test_the_paper_is_the_same_algorithm_over_any_models_preset(self, preset: str) -> None:
        """All but the seconds that a batch is waited for, which `when_dry: wait` makes idle."""
        over, alone = (asdict(load(names, ["algorithm=paper"]).algorithm) for names in ([preset], []))
        for algorithm in (over, alone):
            del algorithm["batch"]["patience_seconds"]
        assert over == alone

    def test_each_ablation_is_one_key(self) -> None:
        def game(name: str) -> object:
            return load([], [f"ablation={name}"]).algorithm.game

        whole = load().algorithm.game
        assert vars(game("deduction_only")) == {**vars(whole), "task_types": ["deduction"]}
        assert vars(game("without_induction")) == {**vars(whole), "task_types": ["deduction", "abduction"]}
        assert vars(game("without_references")) == {**vars(whole), "references": 0}
        assert vars(game("solver_only")) == {**vars(whole), "train_propose": False}

    @pytest.mark.parametrize("name", ["deduction_only", "without_induction", "without_references", "solver_only"])
    @pytest.mark.parametrize("algorithm", ["default", "paper"])
    def test_ablations_may_run_on_either_algorithm(self, algorithm: str, name: str) -> None:
        config = load([], [f"algorithm={algorithm}", f"ablation={name}"])
        assert problems(config.algorithm, 0) == []


class TestLoss:
    @pytest.mark.parametrize(("loss", "weight"), list(product(ANCHORED_AT_BEHAVIOUR, WEIGHTS)))
    def test_a_ratio_is_never_corrected_twice(self, loss: str, weight: str) -> None:
        algorithm = AlgorithmConfig()
        algorithm.loss.name, algorithm.loss.weight = loss, weight
        for staleness in (0, 1, 4):
            told = problems(algorithm, staleness)
            assert bool(told) == (weight != "none")
            assert all("correct it twice" in problem.what for problem in told)

    @pytest.mark.parametrize("loss", ["decoupled_ppo", "gspo", "reinforce"])
    def test_data_older_than_a_step_needs_a_bounded_weight(self, loss: str) -> None:
        algorithm = AlgorithmConfig()
        algorithm.loss.name, algorithm.loss.weight = loss, "none"
        algorithm.loss.aggregation = "sequence_mean"
        assert problems(algorithm, 1) == []
        (told,) = problems(algorithm, 2)
        assert told.key == "algorithm.loss.weight"
        assert "2 steps old" in told.what
        assert ("no trust region" in told.what) == (loss == "reinforce")

    @pytest.mark.parametrize("loss", ["decoupled_ppo", "gspo", "reinforce"])
    @pytest.mark.parametrize("weight", [weight for weight in WEIGHTS if weight != "none"])
    def test_with_one_they_may_run(self, loss: str, weight: str) -> None:
        algorithm = AlgorithmConfig()
        algorithm.loss.name, algorithm.loss.weight = loss, weight
        algorithm.loss.aggregation = "sequence_mean"
        assert problems(algorithm, 8) == []

    @pytest.mark.parametrize("aggregation", AGGREGATIONS)
    def test_one_loss_a_sequence_is_averaged_over_sequences(self, aggregation: str) -> None:
        algorithm = AlgorithmConfig()
        algorithm.loss.name, algorithm.loss.aggregation = "gspo", aggregation
        told = [problem.key for problem in problems(algorithm, 0)]
        assert told == ([] if aggregation == "sequence_mean" else ["algorithm.loss.aggregation"])

    def test_what_goes_wrong_may_be_shown_on_purpose(self) -> None:
        algorithm = AlgorithmConfig()
        algorithm.loss.name, algorithm.loss.weight = "reinforce", "none"
        algorithm.loss.allow_uncorrected = True
        assert problems(algorithm, 16) == []

    def test_but_not_a_correction_made_twice(self) -> None:
        algorithm = AlgorithmConfig()
        algorithm.loss.name, algorithm.loss.allow_uncorrected = "cispo", True
        assert [problem.key for problem in problems(algorithm, 16)] == ["algorithm.loss.weight"]

    @pytest.mark.parametrize(("mask", "proximal"), list(product(MASKS, PROXIMALS)))
    def test_a_threshold_of_the_whole_batch_needs_ratios_of_the_whole_batch(self, mask: str, proximal: str) -> None:
        algorithm = AlgorithmConfig()
        algorithm.loss.masks, algorithm.loss.proximal = [mask], proximal
        told = [problem.key for problem in problems(algorithm, 4)]
        assert told == (["algorithm.loss.masks"] if (mask, proximal) == ("m2po", "interpolate") else [])

    def test_every_loss_has_a_side(self) -> None:
        assert len(LOSSES) == len(set(LOSSES)) == 6


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("solver_reward.malformed_means", "format"),
        ("proposer_reward.learnability", "varience"),
        ("proposer_reward.combination", "add"),
        ("batch.when_dry", "stop"),
        ("advantages.propose.name", "ppo"),
        ("advantages.solve.weighting", "tokens"),
        ("loss.name", "dpo"),
        ("loss.weight", "tis"),
        ("loss.proximal", "guess"),
        ("loss.aggregation", "mean"),
        ("loss.masks", ["k4"]),
        ("batch.replay_share", 1.1),
        ("batch.propose", -1),
        ("batch.solve_lambda", -1.0),
        ("rating.attempts", 0),
        ("loss.clip_low", 1.5),
        ("loss.dual_clip", 1.0),
        ("loss.tis_cap", 0.5),
        ("loss.minibatches", 0),
        ("sampling.top_p", 1.5),
        ("sampling.top_p", 0.0),
        ("sampling.top_p", float("nan")),
        ("sampling.top_k", -7),
        ("sampling.top_k", 0),
        ("sampling.top_k", 1),
        ("solver_reward.right", float("inf")),
        ("solver_reward.wrong", float("-inf")),
        ("solver_reward.malformed", float("nan")),
        ("solver_reward.truncated", float("inf")),
        ("proposer_reward.invalid", float("nan")),
        ("proposer_reward.at_extremes", float("inf")),
        ("loss.entropy_coefficient", float("inf")),
        ("sampling.temperature", 0.0),
        ("loss.geometric_low", 0.0),
        ("loss.geometric_low", 1.01),
        ("loss.geometric_high", 0.5),
        ("loss.m2po_limit", -1.0),
        ("loss.k3_limit", 0.0),
        ("loss.ratio_max", -1.0),
        ("loss.tv_delta", float("nan")),
        ("loss.sequence_clip_low", 2.0),
        ("optimiser.beta2", 1.5),
        ("optimiser.beta1", 1.0),
        ("optimiser.beta2", 1.0),
        ("optimiser.beta1", float("nan")),
        ("optimiser.lr", float("inf")),
        ("optimiser.lr", -1.0),
        ("optimiser.warmup_steps", -1),
        ("advantages.solve.running_weight", -1.0),
        ("advantages.solve.epsilon", 0.0),
        ("advantages.solve.epsilon", float("nan")),
        ("optimiser.lr", float("nan")),
        ("game.task_types", []),
        ("game.task_types", ["deduction", "deduction"]),
        ("game.task_types", ["composite"]),
        ("game.task_types", ["induction", "composite"]),
        ("rating.temperature", 0.0),
        ("batch.solve", 577),
        ("advantages.propose.name", "grpo"),
    ],
)
def test_a_value_that_makes_no_sense_is_told_by_its_key(path: str, value: object) -> None:
    assert path in keys(put(path, value))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("sampling.top_p", 1e-3),
        ("sampling.top_p", 1.0),
        ("sampling.top_k", -1),
        ("sampling.top_k", 2),
        ("loss.dual_clip", 1.01),
        ("loss.geometric_low", 1.0),
        ("loss.geometric_high", 1.0),
        ("optimiser.beta1", 0.0),
        ("optimiser.lr", 0.0),
        ("batch.replay_share", 0.0),
        ("batch.replay_share", 1.0),
    ],
)
def test_a_value_at_the_end_of_its_range_passes(path: str, value: object) -> None:
    assert keys(put(path, value)) == []


class TestCombinations:
    def test_variance_needs_two_attempts(self) -> None:
        def change(algorithm: AlgorithmConfig) -> None:
            algorithm.rating.attempts = algorithm.batch.attempts_per_task = 1
            algorithm.advantages.solve.name = "trrpp"

        assert keys(change) == ["rating.attempts"]

    def test_rating_attempts_that_are_trained_on_are_the_group_of_the_batch(self) -> None:
        assert keys(put("rating.attempts", 4)) == ["batch.attempts_per_task"]

    def test_no_more_ratings_are_made_than_a_step_trains_on(self) -> None:
        # 64 proposals bring 512 attempts: 512 are enough, 504 are not, and without proposers any number is.
        assert keys(put("batch.solve", 512)) == []
        assert keys(put("batch.solve", 504)) == ["batch.solve"]

        def solver_only(algorithm: AlgorithmConfig) -> None:
            algorithm.batch.solve, algorithm.game.train_propose = 8, False

        assert keys(solver_only) == []

        def estimates_apart(algorithm: AlgorithmConfig) -> None:
            algorithm.batch.solve, algorithm.rating.trained = 8, False

        assert keys(estimates_apart) == []

    @pytest.mark.parametrize("train_propose", [True, False])
    def test_a_batch_holds_something(self, train_propose: bool) -> None:
        def change(algorithm: AlgorithmConfig, propose: int) -> None:
            algorithm.rating.trained = False
            algorithm.batch.propose, algorithm.batch.solve = propose, 0
            algorithm.game.train_propose = train_propose

        assert keys(lambda algorithm: change(algorithm, 0)) == ["batch.solve"]
        assert keys(lambda algorithm: change(algorithm, 1)) == ([] if train_propose else ["batch.solve"])

    def test_and_are_drawn_like_all_other_samples(self) -> None:
        assert keys(put("rating.temperature", 0.5)) == ["rating.temperature"]

    def test_estimates_that_are_thrown_away_may_be_drawn_as_one_likes(self) -> None:
        def change(algorithm: AlgorithmConfig) -> None:
            algorithm.rating.trained = False
            algorithm.rating.attempts, algorithm.rating.temperature = 4, 0.5

        assert keys(change) == []

    def test_one_attempt_has_no_others_to_be_compared_with(self) -> None:
        def change(algorithm: AlgorithmConfig) -> None:
            algorithm.rating.trained = False
            algorithm.batch.attempts_per_task = 1

        assert keys(change) == ["advantages.solve.name"]

    def test_a_term_weighs_a_finite_amount(self) -> None:
        terms = {"cluster_share": TermConfig(coefficient=float("inf"))}
        assert keys(put("proposer_reward.terms", terms)) == ["proposer_reward.terms.cluster_share.coefficient"]

    def test_a_penalty_goes_with_a_sum_only(self) -> None:
        def change(algorithm: AlgorithmConfig) -> None:
            algorithm.proposer_reward.terms = {"cluster_share": TermConfig(coefficient=-1.0)}

        assert keys(change) == []
        for rule in ("multiply", "sum_multiply", "multiply_sum"):
            algorithm = AlgorithmConfig()
            change(algorithm)
            algorithm.proposer_reward.combination = rule
            (told,) = problems(algorithm, 4)
            assert told.key == "algorithm.proposer_reward.terms.cluster_share.coefficient"

    @pytest.mark.parametrize("cell", ["deduction/judge", "chess/solve", "deduction"])
    def test_a_weight_is_for_a_cell_that_there_is(self, cell: str) -> None:
        assert keys(put("batch.cell_weights", {cell: 1.0})) == [f"batch.cell_weights.{cell}"]
        assert keys(put("batch.cell_weights", {"deduction/solve": 0.5})) == []

    def test_a_presets_weight_stays_where_its_type_is_not_played(self) -> None:
        def change(algorithm: AlgorithmConfig) -> None:
            algorithm.game.task_types = ["error", "deduction"]
            algorithm.batch.cell_weights = {"induction/solve": 3.0, "error/solve": 2.0, "composite/solve": 2.0}

        assert keys(change) == ["batch.cell_weights.composite/solve"]

    def test_all_problems_are_told_at_once(self) -> None:
        def change(algorithm: AlgorithmConfig) -> None:
            algorithm.loss.name = "cispo"
            algorithm.batch.replay_share = 2.0

        assert keys(change) == ["batch.replay_share", "loss.weight"]

    def test_a_rate_falls_for_longer_than_it_warms_up_or_not_at_all(self) -> None:
        for decay, fits in ((0, True), (1, False), (100, False), (101, True)):

            def change(algorithm: AlgorithmConfig, decay: int = decay) -> None:
                algorithm.optimiser.warmup_steps, algorithm.optimiser.decay_updates = 100, decay

            assert keys(change) == ([] if fits else ["optimiser.decay_updates"])

    def test_without_a_dual_clip_there_is_no_bound_to_check(self) -> None:
        assert keys(put("loss.dual_clip", None)) == []
