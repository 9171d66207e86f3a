"""The algorithm's configuration: rewards, advantages, batches, loss; each constant explained where it is declared.

Read by `azr.game.rewards`, `azr.game.batch`, `azr.advantages` and the learner. The defaults below are the preset
`algorithm=default`; `conf/algorithm/paper.yaml` lists what the published system does differently. What may not be
combined is told by `azr.config.sections.algorithm_rules.problems`.

    AlgorithmConfig
     ├─ game      task types, references, who trains          ├─ advantages   one estimator a role
     ├─ solver_reward, proposer_reward                        ├─ loss         objective and corrections
     ├─ rating    how a proposal's difficulty is estimated    ├─ optimiser
     └─ batch     quotas, weights, replay                     └─ sampling     temperature

"Published code" is what produced the figures of arXiv 2505.03335; where the paper's text says otherwise, both are
named.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class GameConfig:
    """What is played. The four ablations of the paper are one key each (`conf/ablation/`)."""

    task_types: list[str] = field(default_factory=lambda: ["deduction", "abduction", "induction"])
    """Task types in play, in the order in which ties between cells are broken. Composite functions build on programs of
    deduction or abduction."""
    train_propose: bool = True
    """Whether proposers propose and learn. Off: the solver alone, on the seed tasks."""
    references: int = 6
    """Past tasks shown to a proposer (the paper's K = 6); 0: none."""


@dataclass
class SolverRewardConfig:
    """What one attempt earns (the paper's equation 6)."""

    right: float = 1.0
    """The answer is the value asked for."""
    wrong: float = -0.5
    """Well-formed but wrong: between nothing and a mess, so that keeping the format is learned first."""
    malformed: float = -1.0
    """No answer could be read from the response."""
    malformed_means: str = "answer"
    """What is malformed: `answer`, what is no answer of the kind asked for (no tags, no literal, a program that does
    not parse); `tags`, as published: only wrong tags, and whatever stands between right ones is at worst wrong."""
    truncated: float = -0.5
    """Cut off at the length limit: wrong, whatever it holds. The published code scores it as malformed (-1), because
    the closing tag is missing."""


@dataclass
class TermConfig:
    """One intrinsic term of the proposer's reward. A coefficient of 0 switches it off, and then nothing is computed."""

    coefficient: float = 0.0
    """Multiplies the term's value; a negative one makes it a penalty (only with `combination: sum`)."""
    cap: float = 0.5
    """coefficient * value is held to [-cap, cap]. 0.5 as published: no bonus outweighs a learnable task."""
    options: dict[str, Any] = field(default_factory=dict)
    """Passed to the term by name, e.g. `distance: 0.5` of `cluster_share`."""


@dataclass
class ProposerRewardConfig:
    """What a proposal earns: learnability, plus intrinsic terms when it has any."""

    learnability: str = "variance"
    """`variance` 4k(n-k)/(n(n-1)): unbiased for 4p(1-p), highest where the solver is right half of the time.
    `one_minus_mean` 1 - k/n: the paper's; pays most for a lucky 1 of n. `min_p` min(p, 1-p): R-Zero's, at most 0.5.
    `target_rate`: falls linearly from 1 at `target_rate`."""
    target_rate: float = 0.5
    """Where `target_rate` peaks; self-play SWE-RL reports about 0.2 as best for itself."""
    at_extremes: float = 0.0
    """Earned when no attempt or every attempt was right. 0 as in the paper's equation 4, and the only value that keeps
    `variance` unbiased; the published code pays -0.5."""
    invalid: float = -1.0
    """Earned when the response is malformed or the gate refuses the task."""
    combination: str = "sum"
    """How terms join learnability L: `sum` L + Σt, `multiply` L·Πt, `sum_multiply` L + Πt, `multiply_sum` L·Σt."""
    terms: dict[str, TermConfig] = field(default_factory=dict)
    """Intrinsic terms by name; the paper found no clear gain from any, so none is on."""


@dataclass
class RatingConfig:
    """How a proposal's difficulty is estimated."""

    attempts: int = 8
    """Solver attempts at each accepted task (published: 8)."""
    trained: bool = True
    """The attempts are training samples as well. Off, as published: thrown away, 80 % of all that is generated."""
    temperature: float = 1.0
    """The sampling temperature when the attempts are trained on. Greedy ratings are 0 or 1 and teach nothing."""


@dataclass
class BatchConfig:
    """How many sequences of each cell a learner step takes, and what they weigh."""

    propose: int = 64
    """Proposals of each task type a step (published: 64)."""
    solve: int = 576
    """Attempts of each task type a step, a multiple of `attempts_per_task`. 64 + 576 for three types are 1,920: as many
    sequences as the published system generates in a step, all of them trained on."""
    attempts_per_task: int = 8
    """Attempts at one task in a batch, the group of the leave-one-out baseline. With `rating.trained` it must equal
    `rating.attempts`."""
    replay_share: float = 0.25
    """Largest share of the solve quota drawn from tasks of earlier steps while new tasks can fill the rest."""
    solve_lambda: float = 1.0
    """The paper's λ: weight of solving against proposing in the loss."""
    cell_weights: dict[str, float] = field(default_factory=dict)
    """Loss weight of single cells, e.g. `deduction/propose: 0.5`; 1 where nothing is said."""
    equal_cells: bool = False
    """Each cell weighs by its quota, however many of its sequences the batch holds."""
    when_dry: str = "redistribute"
    """A cell that cannot fill its quota: `redistribute` gives its places to cells of the same role, `carry` ships short
    and asks for more next time, `wait` ships nothing."""
    patience_seconds: float = 60.0
    """How long a learner that asks for a batch waits for whole quotas before `when_dry` acts. A cell that made it wait
    in vain is not waited for again until it has brought its quota, so that a dry one costs this once."""
    carry_limit: float = 1.0
    """`carry`: a deficit never exceeds this many quotas, so that a cell that comes back does not flood a batch."""


@dataclass
class EstimatorConfig:
    """How rewards of one role become advantages."""

    name: str = "trrpp"
    """`trrpp`, `reinforce_pp`; for solving also those that compare attempts at one task: `leave_one_out`, `rloo`,
    `grpo`, `dr_grpo`, `reinforce_pp_baseline`; and, for a control, `rejection_sampling`."""
    weighting: str = "sequence"
    """Whitening over `sequence`s or over `token`s (as published; long responses then count for more)."""
    running_weight: float = 32.0
    """Statistics are (n·batch + w·running)/(n + w): running ones count like w sequences, or like those they were made
    of if these are fewer. 0, as published: the batch alone. 32 keeps a cell with a handful of samples steady and is
    soon outvoted by a full one."""
    epsilon: float = 1e-8
    """Added to the variance under the root, as published (`grpo`: to the deviation)."""


@dataclass
class AdvantagesConfig:
    """One estimator a role. Each cell has its own statistics: that is what makes them task-relative."""

    propose: EstimatorConfig = field(default_factory=EstimatorConfig)
    """For proposals: whitening inside the cell, with running statistics."""
    solve: EstimatorConfig = field(default_factory=lambda: EstimatorConfig(name="leave_one_out"))
    """For attempts: against the other attempts at the same task, over the cell's deviation."""
    limit: float = 10.0
    """Advantages are held to [-limit, limit]: one right answer among a thousand wrong ones would weigh 30 otherwise.
    0: no limit, as published."""


@dataclass
class LossConfig:
    """The objective and what corrects for the age of the data (`learner/losses`, `learner/corrections`)."""

    name: str = "decoupled_ppo"
    """`ppo` (bypass), `decoupled_ppo`, `cispo`, `gspo`, `dppo_tv`, `reinforce`."""
    clip_low: float = 0.2
    """`ppo`, `decoupled_ppo`: the ratio is clipped below at 1 - this."""
    clip_high: float = 0.28
    """… and above at 1 + this. Higher than below, so that rare tokens can grow (DAPO); published: 0.2."""
    dual_clip: float | None = 3.0
    """Bounds the objective below at dual_clip · advantage where that is negative; null: off."""
    sequence_clip_low: float = 3e-4
    """`gspo`: the same below; its ratio is a mean over the sequence and moves far less."""
    sequence_clip_high: float = 4e-4
    """`gspo`: … and above."""
    ratio_max: float = 5.0
    """`cispo`: bound of its weight (4 to 8 are equally good in ScaleRL)."""
    tv_delta: float = 0.2
    """`dppo_tv`: masks a token whose probability moved by more than this in the direction of its advantage."""
    tv_pull: float = 1e-3
    """`dppo_tv`: coefficient of the squared log-ratio."""
    proximal: str = "recompute"
    """Where `decoupled_ppo` and `gspo` take the proximal policy from: `recompute` (mini-batches but the first
    are scored once more) or `interpolate` (between behaviour and current policy, by version)."""
    weight: str = "token_tis"
    """What undoes staleness (proximal over behaviour): `token_tis`, `sequence_tis`, `icepop`, `vtrace`,
    `none`."""
    tis_cap: float = 2.0
    """Bound of `token_tis` and `sequence_tis` weights (1.5 to 5 in use; AReaL's table is good to staleness 4 at 2)."""
    icepop_low: float = 0.5
    """`icepop` drops tokens whose ratio lies below,"""
    icepop_high: float = 5.0
    """… or above."""
    masks: list[str] = field(default_factory=list)
    """Guards against what lies too far from its engine: `geometric`, `k3`, `negative_sequence`, `m2po`. They judge all
    that is between the log-probs recorded and the step's first weights: the gap between engine and trainer, and
    staleness as well, so narrow bands drop old sequences. They multiply to 0 or 1 and correct nothing."""
    geometric_low: float = 0.99
    """`geometric` drops a sequence whose mean ratio lies below,"""
    geometric_high: float = 1.01
    """… or above (SkyRL's bounds)."""
    k3_limit: float = 0.01
    """`k3` keeps a sequence whose mean of ρ - 1 - log ρ is below."""
    negative_sequence_limit: float = 0.1
    """`negative_sequence` drops one with a negative advantage whose mean log(μ/π) exceeds this."""
    m2po_limit: float = 0.04
    """`m2po` masks tokens, worst first, until the mean of (log ρ)² is below."""
    aggregation: str = "token_mean"
    """`token_mean`, `sequence_mean`, `prompt_mean`, `constant_length` over the mini-batch, or `chunk_token_mean`: token
    mean inside chunks of `chunk_sequences`, chunks averaged equally (what micro-batches did in the published code)."""
    chunk_sequences: int = 16
    """Published micro-batch."""
    constant_length: int = 8096
    """Divisor of `constant_length` (Dr. GRPO)."""
    minibatches: int = 4
    """Optimiser updates a step. The proximal policy is fixed before the first, so the clip acts from the second on."""
    entropy_coefficient: float = 0.0
    """Bonus on the policy's entropy (published: 0.001)."""
    allow_uncorrected: bool = False
    """Run combinations that have no trust region at this staleness: to show what goes wrong, not to train."""


@dataclass
class OptimiserConfig:
    """AdamW."""

    lr: float = 1e-6
    """Constant, as published and as everywhere for 3B to 14B; the tiny preset has its own."""
    warmup_steps: int = 0
    """Updates of linear warm-up (published: none)."""
    decay_updates: int = 0
    """Updates, counted from the first, by which the rate has fallen along a cosine to a tenth; 0: constant."""
    beta1: float = 0.9
    """Decay of the first moment."""
    beta2: float = 0.999
    """Decay of the second moment."""
    weight_decay: float = 0.0
    """At this learning rate decay does next to nothing (published: 0.01, its framework's default)."""
    grad_clip: float = 1.0
    """Bound of the gradient's norm (published: 1)."""


@dataclass
class SamplingConfig:
    """How training samples are drawn. Anything but 1, 1, off makes the recorded log-probs those of another policy."""

    temperature: float = 1.0
    """Divides the logits."""
    top_p: float = 1.0
    """Nucleus kept; 1: all."""
    top_k: int = -1
    """-1: off."""


@dataclass
class AlgorithmConfig:
    """Everything that decides what is learned from a given stream of responses."""

    game: GameConfig = field(default_factory=GameConfig)
    """What is played."""
    solver_reward: SolverRewardConfig = field(default_factory=SolverRewardConfig)
    """What an attempt earns."""
    proposer_reward: ProposerRewardConfig = field(default_factory=ProposerRewardConfig)
    """What a proposal earns."""
    rating: RatingConfig = field(default_factory=RatingConfig)
    """How a proposal's difficulty is estimated."""
    batch: BatchConfig = field(default_factory=BatchConfig)
    """What a learner step takes of each cell."""
    advantages: AdvantagesConfig = field(default_factory=AdvantagesConfig)
    """How rewards become advantages."""
    loss: LossConfig = field(default_factory=LossConfig)
    """The objective and its corrections."""
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    """The optimiser."""
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    """How training samples are drawn."""
    shuffle_rewards: bool = False
    """A control, not a way to train: rewards change places inside each group of attempts, and those of proposals inside
    each cell of a batch, so that nothing can be learned from them. Whatever improves all the same is no learning."""
