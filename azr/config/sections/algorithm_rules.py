"""What may not be combined in an algorithm, each with the reason and the mend.

Called by `azr.config.rules`; pure, so that a test can enumerate combinations. All problems are reported at once,
because who mends one wants to know the next.

Three ratios decide which losses and weights go together (log-probabilities of current, proximal and behaviour policy):

    anchored at behaviour   ppo, cispo, dppo_tv     ratio θ/μ carries staleness already: a weight on it corrects twice
    anchored at proximal    decoupled_ppo, gspo     ratio θ/prox; the weight prox/μ corrects staleness, once
    no ratio                reinforce               only a bounded weight stands between old data and the gradient
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from math import inf, isfinite

from azr.config.sections.algorithm import AlgorithmConfig, EstimatorConfig, GameConfig, LossConfig
from azr.config.sections.checking import Problem, at_least, between, one_of
from azr.plugins import LOSSES as LOSS_PLUGINS
from azr.plugins import plugin_names

LEARNABILITIES = ("variance", "one_minus_mean", "min_p", "target_rate")
COMBINATIONS = ("sum", "multiply", "sum_multiply", "multiply_sum")
MALFORMED_MEANS = ("answer", "tags")
WHEN_DRY = ("redistribute", "carry", "wait")
ESTIMATORS = (
    "trrpp",
    "leave_one_out",
    "rloo",
    "grpo",
    "dr_grpo",
    "reinforce_pp",
    "reinforce_pp_baseline",
    "rejection_sampling",
)
GROUP_ESTIMATORS = ("leave_one_out", "rloo", "grpo", "dr_grpo", "reinforce_pp_baseline")
WEIGHTINGS = ("sequence", "token")
ANCHORED_AT_BEHAVIOUR = ("ppo", "cispo", "dppo_tv")
ANCHORED_AT_PROXIMAL = ("decoupled_ppo", "gspo")
LOSSES = (*ANCHORED_AT_BEHAVIOUR, *ANCHORED_AT_PROXIMAL, "reinforce")
WEIGHTS = ("token_tis", "sequence_tis", "icepop", "vtrace", "none")
MASKS = ("geometric", "k3", "negative_sequence", "m2po")
PROXIMALS = ("recompute", "interpolate")
AGGREGATIONS = ("token_mean", "sequence_mean", "prompt_mean", "constant_length", "chunk_token_mean")


def problems(algorithm: AlgorithmConfig, max_staleness: int) -> list[Problem]:
    """Everything wrong with the algorithm under this staleness bound; empty when it may run."""
    found = chain(
        _choices(algorithm),
        _ranges(algorithm),
        _amounts(algorithm),
        _game(algorithm),
        _proposer_reward(algorithm),
        _rating(algorithm),
        _advantages(algorithm),
        _loss(algorithm.loss, max_staleness),
    )
    return [problem._replace(key=f"algorithm.{problem.key}") for problem in found]


def _choices(algorithm: AlgorithmConfig) -> Iterator[Problem]:
    loss, advantages = algorithm.loss, algorithm.advantages
    for key, value, known in (
        ("solver_reward.malformed_means", algorithm.solver_reward.malformed_means, MALFORMED_MEANS),
        ("proposer_reward.learnability", algorithm.proposer_reward.learnability, LEARNABILITIES),
        ("proposer_reward.combination", algorithm.proposer_reward.combination, COMBINATIONS),
        ("batch.when_dry", algorithm.batch.when_dry, WHEN_DRY),
        ("advantages.propose.name", advantages.propose.name, ESTIMATORS),
        ("advantages.solve.name", advantages.solve.name, ESTIMATORS),
        ("advantages.propose.weighting", advantages.propose.weighting, WEIGHTINGS),
        ("advantages.solve.weighting", advantages.solve.weighting, WEIGHTINGS),
        ("loss.name", loss.name, (*LOSSES, *plugin_names(LOSS_PLUGINS))),
        ("loss.weight", loss.weight, WEIGHTS),
        ("loss.proximal", loss.proximal, PROXIMALS),
        ("loss.aggregation", loss.aggregation, AGGREGATIONS),
        *(("loss.masks", mask, MASKS) for mask in loss.masks),
    ):
        yield from one_of(key, value, known)


def _ranges(algorithm: AlgorithmConfig) -> Iterator[Problem]:
    batch, loss, rating = algorithm.batch, algorithm.loss, algorithm.rating
    sampling, optimiser, reward = algorithm.sampling, algorithm.optimiser, algorithm.proposer_reward
    for key, value, low, high in (
        ("game.references", algorithm.game.references, 0, None),
        ("proposer_reward.target_rate", reward.target_rate, 0.0, 1.0),
        ("rating.attempts", rating.attempts, 1, None),
        ("rating.temperature", rating.temperature, 0.0, None),
        ("batch.propose", batch.propose, 0, None),
        ("batch.solve", batch.solve, 0, None),
        ("batch.attempts_per_task", batch.attempts_per_task, 1, None),
        ("batch.replay_share", batch.replay_share, 0.0, 1.0),
        ("batch.solve_lambda", batch.solve_lambda, 0.0, None),
        ("batch.patience_seconds", batch.patience_seconds, 0.0, None),
        ("batch.carry_limit", batch.carry_limit, 0.0, None),
        *((f"batch.cell_weights.{cell}", weight, 0.0, None) for cell, weight in batch.cell_weights.items()),
        *((f"proposer_reward.terms.{name}.cap", term.cap, 0.0, None) for name, term in reward.terms.items()),
        ("advantages.limit", algorithm.advantages.limit, 0.0, None),
        ("advantages.propose.running_weight", algorithm.advantages.propose.running_weight, 0.0, None),
        ("advantages.solve.running_weight", algorithm.advantages.solve.running_weight, 0.0, None),
        ("loss.clip_low", loss.clip_low, 0.0, 1.0),
        ("loss.clip_high", loss.clip_high, 0.0, None),
        ("loss.tis_cap", loss.tis_cap, 1.0, None),
        ("loss.icepop_low", loss.icepop_low, 0.0, 1.0),
        ("loss.icepop_high", loss.icepop_high, 1.0, None),
        ("loss.minibatches", loss.minibatches, 1, None),
        ("loss.chunk_sequences", loss.chunk_sequences, 1, None),
        ("loss.constant_length", loss.constant_length, 1, None),
        ("optimiser.grad_clip", optimiser.grad_clip, 0.0, None),
        ("loss.geometric_high", loss.geometric_high, 1.0, None),
        ("loss.sequence_clip_low", loss.sequence_clip_low, 0.0, 1.0),
        ("loss.sequence_clip_high", loss.sequence_clip_high, 0.0, None),
        ("loss.tv_pull", loss.tv_pull, 0.0, None),
        ("optimiser.warmup_steps", optimiser.warmup_steps, 0, None),
        ("optimiser.decay_updates", optimiser.decay_updates, 0, None),
        ("optimiser.weight_decay", optimiser.weight_decay, 0.0, None),
    ):
        yield from at_least(key, value, low) if high is None else between(key, value, low, high)
    for key, value in (
        ("loss.ratio_max", loss.ratio_max),
        ("loss.k3_limit", loss.k3_limit),
        ("loss.negative_sequence_limit", loss.negative_sequence_limit),
        ("loss.m2po_limit", loss.m2po_limit),
        ("loss.tv_delta", loss.tv_delta),
        ("sampling.temperature", sampling.temperature),
    ):
        if not value > 0.0:
            yield Problem(key, f"{value} is out of range", "it must be above 0")
    top_p, top_k, dual = sampling.top_p, sampling.top_k, loss.dual_clip
    for key, given, fits, mend in (
        ("optimiser.lr", optimiser.lr, 0.0 <= optimiser.lr < inf, "it must be at least 0 and finite"),
        ("optimiser.beta1", optimiser.beta1, 0.0 <= optimiser.beta1 < 1.0, "it must be at least 0 and below 1"),
        ("optimiser.beta2", optimiser.beta2, 0.0 <= optimiser.beta2 < 1.0, "it must be at least 0 and below 1"),
        ("sampling.top_p", top_p, 0.0 < top_p <= 1.0, "it must be above 0 and at most 1"),
        # Of one token there is nothing to choose: all answers to a task would be the same.
        ("sampling.top_k", top_k, top_k == -1 or top_k >= 2, "it must be at least 2, or -1 for off"),
        # At 1 the bound is the advantage itself: no token of a bad answer that grew likelier would be held back.
        ("loss.dual_clip", dual, dual is None or dual > 1.0, "it must be above 1, or null for off"),
        ("loss.geometric_low", loss.geometric_low, 0.0 < loss.geometric_low <= 1.0, "it must be above 0, at most 1"),
    ):
        if not fits:
            yield Problem(key, f"{given} is out of range", mend)
    if 0 < optimiser.decay_updates <= optimiser.warmup_steps:
        yield Problem(
            "optimiser.decay_updates",
            f"both count from the first update, so the rate would fall to a tenth after {optimiser.decay_updates} of "
            f"{optimiser.warmup_steps} updates of warm-up",
            "set it above algorithm.optimiser.warmup_steps, or to 0 for a constant rate",
        )


def _amounts(algorithm: AlgorithmConfig) -> Iterator[Problem]:
    """What may be any number, but must be one: a single infinite reward would make the weights NaN."""
    solver, proposer = algorithm.solver_reward, algorithm.proposer_reward
    for key, value in (
        ("solver_reward.right", solver.right),
        ("solver_reward.wrong", solver.wrong),
        ("solver_reward.malformed", solver.malformed),
        ("solver_reward.truncated", solver.truncated),
        ("proposer_reward.at_extremes", proposer.at_extremes),
        ("proposer_reward.invalid", proposer.invalid),
        *((f"proposer_reward.terms.{name}.coefficient", term.coefficient) for name, term in proposer.terms.items()),
        ("loss.entropy_coefficient", algorithm.loss.entropy_coefficient),
    ):
        if not isfinite(value):
            yield Problem(key, f"{value} is no finite number", "write one")


def _game(algorithm: AlgorithmConfig) -> Iterator[Problem]:
    types = algorithm.game.task_types
    if not types:
        yield Problem("game.task_types", "no task type is in play", "name at least one, for example deduction")
    if len(set(types)) < len(types):
        yield Problem("game.task_types", "a task type is named twice", "name each once")
    if "composite" in types and not {"deduction", "abduction"} & set(types):
        yield Problem(
            "game.task_types",
            "composite functions build on programs of deduction or abduction, and neither is in play",
            "add deduction or abduction",
        )
    # A preset's weights hold for its types in any choice of them, so one that is not played may have one.
    weighable = [*types, *(name for name in GameConfig().task_types if name not in types)]
    for cell in algorithm.batch.cell_weights:
        task, _, role = cell.partition("/")
        if task not in weighable or role not in ("propose", "solve"):
            yield Problem(
                f"batch.cell_weights.{cell}", "there is no such cell", f"write task/role with a task of {weighable}"
            )


def _proposer_reward(algorithm: AlgorithmConfig) -> Iterator[Problem]:
    reward = algorithm.proposer_reward
    if reward.learnability == "variance" and algorithm.rating.attempts < 2:
        yield Problem("rating.attempts", "`variance` needs two attempts at least", "raise it or choose one_minus_mean")
    for name, term in reward.terms.items():
        if term.coefficient < 0 and reward.combination != "sum":
            yield Problem(
                f"proposer_reward.terms.{name}.coefficient",
                f"a penalty inside a product (`{reward.combination}`) turns rewards around",
                "set algorithm.proposer_reward.combination=sum",
            )


def _rating(algorithm: AlgorithmConfig) -> Iterator[Problem]:
    rating, batch = algorithm.rating, algorithm.batch
    if rating.temperature == 0.0:
        yield Problem(
            "rating.temperature", "greedy ratings are all 0 or 1, so no proposal is ever learnable", "use 1.0"
        )
    if rating.trained and rating.attempts != batch.attempts_per_task:
        yield Problem(
            "batch.attempts_per_task",
            f"rating attempts are trained on ({rating.attempts} a task) but a group in the batch has "
            f"{batch.attempts_per_task}",
            "make them equal, or set algorithm.rating.trained=false",
        )
    if rating.trained and rating.temperature != algorithm.sampling.temperature:
        yield Problem(
            "rating.temperature",
            "rating attempts are trained on but drawn at another temperature than the rest",
            "make it that of algorithm.sampling.temperature, or set algorithm.rating.trained=false",
        )
    brought = batch.propose * rating.attempts
    if rating.trained and algorithm.game.train_propose and batch.solve < brought:
        yield Problem(
            "batch.solve",
            f"{batch.propose} proposals bring {brought} rating attempts a step, but only {batch.solve} are trained on",
            "raise it, or lower algorithm.batch.propose or algorithm.rating.attempts",
        )
    if not batch.solve and not (batch.propose and algorithm.game.train_propose):
        yield Problem("batch.solve", "no cell puts anything into a batch", "raise it, or let proposers be trained")
    if batch.solve % batch.attempts_per_task:
        yield Problem("batch.solve", f"{batch.solve} is no multiple of attempts_per_task", "groups are taken whole")


def _advantages(algorithm: AlgorithmConfig) -> Iterator[Problem]:
    if algorithm.advantages.propose.name in GROUP_ESTIMATORS:
        yield Problem(
            "advantages.propose.name",
            f"`{algorithm.advantages.propose.name}` compares samples of one prompt, and each proposal has its own",
            "choose trrpp or reinforce_pp",
        )
    if algorithm.advantages.solve.name in GROUP_ESTIMATORS and algorithm.batch.attempts_per_task < 2:
        yield Problem(
            "advantages.solve.name",
            f"`{algorithm.advantages.solve.name}` compares attempts at one task, and there is one",
            "raise algorithm.batch.attempts_per_task or choose trrpp",
        )
    estimators: dict[str, EstimatorConfig] = {
        "propose": algorithm.advantages.propose,
        "solve": algorithm.advantages.solve,
    }
    for role, estimator in estimators.items():
        if not estimator.epsilon > 0.0:
            yield Problem(f"advantages.{role}.epsilon", "without it a cell of equal rewards divides by 0", "use 1e-8")


def _loss(loss: LossConfig, max_staleness: int) -> Iterator[Problem]:
    if loss.name in ANCHORED_AT_BEHAVIOUR and loss.weight != "none":
        yield Problem(
            "loss.weight",
            f"`{loss.name}` corrects current over behaviour in its own ratio; `{loss.weight}` would correct it twice",
            "set algorithm.loss.weight=none, or algorithm.loss.name=decoupled_ppo",
        )
    if loss.name == "gspo" and loss.aggregation != "sequence_mean":
        yield Problem(
            "loss.aggregation",
            f"`gspo` gives each sequence one loss, and `{loss.aggregation}` would weigh it by the sequence's length",
            "set algorithm.loss.aggregation=sequence_mean",
        )
    if "m2po" in loss.masks and loss.proximal == "interpolate":
        yield Problem(
            "loss.masks",
            "`m2po` masks by a threshold of the whole batch, and with `interpolate` no ratio is known before its own "
            "micro-batch: what is masked would depend on how the batch is cut",
            "set algorithm.loss.proximal=recompute, or leave m2po out",
        )
    if max_staleness <= 1 or loss.allow_uncorrected:
        return
    if loss.name not in ANCHORED_AT_BEHAVIOUR and loss.weight == "none":
        kind = "has no trust region" if loss.name == "reinforce" else "leaves proximal over behaviour uncorrected"
        yield Problem(
            "loss.weight",
            f"`{loss.name}` without a weight {kind}, and data may be {max_staleness} steps old",
            "set algorithm.loss.weight=token_tis, or staleness.max_staleness=1, or (to see it fail) "
            "algorithm.loss.allow_uncorrected=true",
        )
