"""From a batch of the experience to what the learner trains on. Pure but for the running statistics it hands back.

Called by `azr.run.source` once a learner step, on rank 0. Everything that needs the whole batch happens here, before it
is cut into mini-batches and ranks: the proposals' rewards, advantages, loss weights.

    items ─ decode ─► proposals, attempts ─ rewards ─► trajectories ─ advantages, weights ─► StepBatch
                                              │                            │
                                    memories of reward terms       baselines of cells        metrics of it all
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
import numpy.typing as npt

from azr.advantages import Baselines, compute
from azr.advantages.records import Samples
from azr.advantages.report import tell
from azr.config.sections.algorithm import AlgorithmConfig
from azr.game.batch import loss_weights, quotas
from azr.game.rewards.proposer import ProposalReward, ProposerReward
from azr.game.rewards.term import Answer, RatedProposal
from azr.game.tasks import task_type
from azr.game.tasks.base import program_is_given
from azr.game.types import Attempt, Cell, Proposal, Task, Trajectory, Version
from azr.game.wire import decode
from azr.ledger.experience import Item
from azr.metrics import Accumulator
from azr.staleness.bound import Ancestry, assert_fresh_spans, staleness
from learner.samples import Sample, StepBatch
from learner.screening import screen

#: Ages in steps that are told apart; what is older counts as that old.
OLDEST_TOLD = 16

#: Looks at a step's trajectories and names, by id, those to leave out of the gradient, with the reason.
Look = Callable[[Sequence[Trajectory], int, Accumulator], Mapping[str, str]]


@dataclass
class Memory:
    """What outlasts a batch, and goes into checkpoints."""

    baselines: Baselines = field(default_factory=Baselines)
    terms: dict[str, bytes] = field(default_factory=dict)
    """Memories of reward terms that have one."""
    flat_tokens: int = 0
    """Tokens taken in groups without variance, which carry no gradient."""
    withheld_tokens: int = 0
    """Tokens taken in groups with variance and kept out of the gradient all the same: the safety watch held them back,
    or the learner's screening will not have them."""


@dataclass(frozen=True)
class Prepared:
    """A batch ready for the learner."""

    batch: StepBatch
    memory: Memory
    """As it is once the batch is trained on."""
    metrics: Accumulator
    tasks: list[RatedTask]
    """What the batch's valid proposals became."""


class RatedTask(msgspec.Struct, frozen=True, kw_only=True):
    """A task of the batch, as `tasks.jsonl` keeps it."""

    step: int
    task: Task
    right: int
    attempts: int
    reward: float
    """Of its proposal."""


@dataclass(frozen=True)
class _Entry:
    """One sample of the batch, decoded."""

    item: Item
    trajectory: Trajectory
    proposal: Proposal | None = None
    attempt: Attempt | None = None


def prepare(
    items: Sequence[Item],
    consumer: Version,
    ancestry: Ancestry,
    algorithm: AlgorithmConfig,
    max_staleness: int,
    memory: Memory,
    *,
    judge: ProposerReward | None = None,
    look: Look | None = None,
    seed: int = 0,
) -> Prepared:
    """The learner's batch of these items.

    `judge` is that of the batches before, since making one may load a model for a term; what it remembers is the
    memory's all the same. `look` is shown all trajectories and says which must carry no gradient; `seed` is for the
    control that shuffles rewards.
    """
    metrics = Accumulator()
    judge = judge or ProposerReward(algorithm.proposer_reward)
    judge.restore(memory.terms)
    entries = _rewarded([_decoded(item) for item in items], judge, metrics)
    if algorithm.shuffle_rewards:
        entries = _shuffled(entries, np.random.default_rng([seed, consumer.step]))
    trajectories = [entry.trajectory for entry in entries]
    assert_fresh_spans(trajectories, consumer, ancestry, max_staleness)
    samples = Samples.of(trajectories)
    advantages, baselines = compute(samples, algorithm.advantages, memory.baselines)
    weights = loss_weights([trajectory.cell for trajectory in trajectories], algorithm)
    held = look(trajectories, consumer.step, metrics) if look else {}
    trained = [place for place in np.flatnonzero(advantages.trained).tolist() if trajectories[place].id not in held]
    tell(metrics, samples, advantages, weights, baselines, consumer.step)
    _tell_game(metrics, entries, ratings_trained=algorithm.rating.trained)
    _tell_age(metrics, entries, consumer, max_staleness)
    broken = _screened(trajectories)
    for place, trajectory in enumerate(trajectories):
        metrics.add("batch/broken", float(place in broken), label=str(trajectory.cell))
    flat = int(samples.lengths[~advantages.trained].sum())
    taught = set(trained) - broken
    withheld = int(samples.lengths[advantages.trained].sum()) - int(sum(samples.lengths[place] for place in taught))
    after = Memory(
        baselines=baselines,
        terms=judge.to_state(),
        flat_tokens=memory.flat_tokens + flat,
        withheld_tokens=memory.withheld_tokens + withheld,
    )
    metrics.add("ledger/withheld_tokens", after.withheld_tokens, at=consumer.step)
    _tell_missing(metrics, entries, algorithm)
    metrics.add("ledger/without_variance_tokens", after.flat_tokens, at=consumer.step)
    batch = StepBatch(
        [_sample(entries[i], float(advantages.values[i]), float(weights[i]), int(samples.group[i])) for i in trained],
        consumer.step,
    )
    return Prepared(batch, after, metrics, _tasks_of(entries, consumer.step))


def _screened(trajectories: Sequence[Trajectory]) -> set[int]:
    """Places of those that the learner drops, if they come to it, for broken log-probs; it counts them by reason."""
    screening = screen(
        [len(one.response_ids) for one in trajectories], [one.behaviour_logprobs for one in trajectories]
    )
    return set(screening.dropped)


def _tell_missing(metrics: Accumulator, entries: Sequence[_Entry], algorithm: AlgorithmConfig) -> None:
    """By how many groups each cell fell short of its quota; a batch is taken short when patience is over."""
    groups: dict[Cell, set[str]] = {}
    for entry in entries:
        groups.setdefault(entry.trajectory.cell, set()).add(entry.item.group.id)
    for quota in quotas(algorithm):
        metrics.add("batch/missing", max(0, quota.groups - len(groups.get(quota.cell, ()))), label=str(quota.cell))


def _tasks_of(entries: Sequence[_Entry], step: int) -> list[RatedTask]:
    return [
        RatedTask(
            step=step,
            task=entry.proposal.task,
            right=entry.item.group.rating.correct,
            attempts=entry.item.group.rating.attempts,
            reward=entry.trajectory.reward,
        )
        for entry in entries
        if entry.proposal is not None and entry.proposal.task is not None and entry.item.group.rating is not None
    ]


def _decoded(item: Item) -> _Entry:
    if item.sample.cell.role == "propose":
        proposal = decode(item.sample.body, Proposal)
        return _Entry(item, proposal.trajectory, proposal=proposal)
    attempt = decode(item.sample.body, Attempt)
    return _Entry(item, attempt.trajectory, attempt=attempt)


def _rewarded(entries: list[_Entry], judge: ProposerReward, metrics: Accumulator) -> list[_Entry]:
    """Proposals get their rewards, which need their ratings and each other; attempts have theirs already."""
    places = [index for index, entry in enumerate(entries) if entry.proposal is not None]
    rated = [_rated(entries[index]) for index in places]
    result = list(entries)
    for index, one, reward in zip(places, rated, judge.rewards(rated), strict=True):
        entry = entries[index]
        rating = entry.item.group.rating
        result[index] = _Entry(
            entry.item,
            msgspec.structs.replace(
                entry.trajectory,
                reward=reward.reward,
                reward_version=rating.oldest if rating else entry.trajectory.oldest_version,
            ),
            proposal=entry.proposal,
        )
        _tell_proposal(metrics, entry, one, reward)
    return result


def _rated(entry: _Entry) -> RatedProposal:
    """All that rewards may know of a proposal."""
    proposal, rating = entry.proposal, entry.item.group.rating
    assert proposal is not None
    if proposal.task is None or rating is None:
        return RatedProposal(valid=False)
    return RatedProposal(
        valid=True,
        right=rating.correct,
        attempts=rating.attempts,
        program=proposal.task.program,
        program_given=program_is_given(task_type(proposal.task.task_type)),
        facts=proposal.facts,
        references=proposal.shown,
        answers=_answers(proposal.task),
    )


def _answers(task: Task) -> tuple[Answer, ...]:
    """The task's outputs, whatever its solver is asked for."""
    types = task.output_types or ("",) * len(task.output_keys)
    return tuple(map(Answer, types, task.output_keys))


def _shuffled(entries: list[_Entry], generator: np.random.Generator) -> list[_Entry]:
    """The control: rewards lose all meaning and keep their distribution, of attempts in each group, so that as many
    groups as before are all alike and teach nothing; of proposals and lone attempts in each cell."""
    result = list(entries)
    sizes = Counter(entry.item.group.id for entry in entries)
    among: dict[tuple[str, str], list[int]] = {}
    for index, entry in enumerate(entries):
        group = entry.item.group.id if entry.attempt is not None and sizes[entry.item.group.id] > 1 else ""
        among.setdefault((str(entry.trajectory.cell), group), []).append(index)
    for places in among.values():
        for index, source in zip(places, generator.permutation(places), strict=True):
            own = entries[index]
            reward = entries[int(source)].trajectory.reward
            moved = msgspec.structs.replace(own.trajectory, reward=reward)
            result[index] = _Entry(own.item, moved, own.proposal, own.attempt)
    return result


def token_steps(trajectory: Trajectory) -> npt.NDArray[np.int64]:
    """Learner step of the weights that sampled each token."""
    steps = np.zeros(len(trajectory.response_ids), dtype=np.int64)
    for span in trajectory.spans:
        steps[span.start : span.end] = span.version.step
    return steps


def _sample(entry: _Entry, advantage: float, weight: float, group: int) -> Sample:
    trajectory = entry.trajectory
    return Sample(
        prompt_ids=trajectory.prompt_ids,
        response_ids=trajectory.response_ids,
        behaviour_logprobs=trajectory.behaviour_logprobs,
        advantage=advantage,
        weight=weight,
        prompt=group,
        token_steps=token_steps(trajectory),
    )


def _tell_proposal(metrics: Accumulator, entry: _Entry, rated: RatedProposal, reward: ProposalReward) -> None:
    kind = entry.trajectory.cell.task
    if not rated.valid:
        return
    rate = rated.right / rated.attempts
    metrics.add("proposal/solve_rate", rate, label=kind)
    metrics.add("proposal/at_extremes", float(rate in (0.0, 1.0)), label=kind)
    metrics.add("reward/learnability", reward.learnability, label=kind)
    for term, value in reward.terms.items():
        metrics.add("reward/term", value, label=term)


def _tell_game(metrics: Accumulator, entries: Sequence[_Entry], *, ratings_trained: bool) -> None:
    """What was played: right answers, unreadable ones, and how much was replay.

    Where ratings are not trained on, every attempt is at a task drawn from the buffers, new ones included, and nothing
    here says how old it is.
    """
    for entry in entries:
        cell = entry.trajectory.cell
        if entry.proposal is not None:
            metrics.add("batch/valid", float(entry.proposal.task is not None), label=cell.task)
        if entry.attempt is not None:
            metrics.add("batch/accuracy", float(entry.attempt.verdict.correct), label=cell.task)
            metrics.add("batch/malformed", float(not entry.attempt.verdict.well_formed), label=cell.task)
            if ratings_trained:
                metrics.add("batch/replay_share", float(entry.item.group.kind == "replay"), label=cell.task)


def _tell_age(metrics: Accumulator, entries: Sequence[_Entry], consumer: Version, max_staleness: int) -> None:
    oldest = min(max_staleness, OLDEST_TOLD)
    ages: Counter[int] = Counter()
    for entry in entries:
        steps = [span.version.step for span in entry.trajectory.spans]
        age = staleness(entry.item.oldest, consumer)
        ages[min(age, oldest)] += 1
        metrics.add("off_policy/staleness", age, label=str(entry.trajectory.cell))
        metrics.add("off_policy/version_span", max(steps) - min(steps))
        metrics.add("off_policy/mixed_versions", float(len(set(steps)) > 1))
    for one in range(oldest + 1 if entries else 0):
        metrics.add("off_policy/age_share", ages[one] / len(entries), label=str(one), weight=len(entries))
