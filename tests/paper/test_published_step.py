"""`algorithm=paper` reproduces one full published step: batches, rewards, advantages, buffers.

Everything azr does is held twice: against an independent computation in plain floats, written out below token by
token as the published code whitens, and against numbers worked out by hand in the comments.

    step t-1 ──► tasks ──► buffers ──draw: its two new tasks, two older ones──► solve (n = 1) ─► verify ─► reward ─┐
    step t   ──► propose ─► parse, gate ─► 8 estimates, thrown away ─► reward ─────────────────────────────────────┤
                               └── valid ones ──► buffers                  one batch of six cells, whitened apart ◄┘
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import sqrt

import msgspec
import numpy as np
import pytest

from azr.advantages import Advantages, Baselines, Samples, compute
from azr.buffers.task_buffer import Estimate, TaskBuffer
from azr.config.load import load
from azr.config.root import Config
from azr.game.batch import BatchPlan, compose, loss_weights
from azr.game.frames import frame
from azr.game.gate import GateRules
from azr.game.plan import drive
from azr.game.play import judge_attempt, judge_proposal
from azr.game.rewards import ProposerReward, RatedProposal, solver_reward
from azr.game.tasks import Ask, task_type
from azr.game.types import Cell, Refusal, Task, Trajectory, Verdict, Version
from azr.game.verification import VerifyRules
from sandbox_wasm.pool import open_sandbox
from sandbox_wasm.protocol import Sandbox
from tests.paper.world import KNOWN, LABELS, PROPOSED, SOLVED, UNREADABLE, Known, Said, block, response

TYPES = ("deduction", "abduction", "induction")
R1 = frame("r1")

#: Worked out by hand, cell by cell: reward of each response.
REWARDS = {
    # 2 of 8 solved: 1 - 2/8. All solved: -½. Does not parse: -1. No tags: -1.
    "deduction/propose": [0.75, -0.5, -1.0, -1.0],
    # The third is no literal, but stands between right tags: -½. The fourth has no tags: -1.
    "deduction/solve": [1.0, 1.0, -0.5, -1.0],
    # 1 of 8: 7/8. 4 of 8: ½. None: -½. Draws at random: -1.
    "abduction/propose": [0.875, 0.5, -0.5, -1.0],
    # Wrong: -½. No arguments, but right tags: -½. Cut off: -1.
    "abduction/solve": [1.0, -0.5, -0.5, -1.0],
    # 7 of 8: ⅛. 2 of 8: ¾. Nine inputs: -1. A hidden input is shown: -1.
    "induction/propose": [0.125, 0.75, -1.0, -1.0],
    # The last program does not parse, but stands between right tags: -½.
    "induction/solve": [1.0, 1.0, 1.0, -0.5],
}

#: Worked out by hand: advantage of each response; tokens are 4, 2, 1, 1 and so on (see world.py).
ADVANTAGES = {
    # Mean (4·¾ - 2·½ - 1 - 1)/8 = 0; squares 4·0.5625 + 2·0.25 + 1 + 1 = 4.75, over 7: 0.678571; root 0.823754.
    "deduction/propose": [0.910466, -0.606977, -1.213954, -1.213954],
    # Mean (1 + 3 - 1 - 3)/9 = 0; squares 1 + 3 + ½ + 3 = 7.5, over 8: 0.9375; root 0.968246.
    "deduction/solve": [1.032796, 1.032796, -0.516398, -1.032796],
    # Mean (3.5 + ½ - 1 - 3)/10 = 0; squares 4·0.765625 + ¼ + ½ + 3 = 6.8125, over 9: 0.756944; root 0.870026.
    "abduction/propose": [1.005717, 0.574696, -0.574696, -1.149391],
    # Mean (2 - ½ - ½ - 1)/5 = 0; squares 2 + ¼ + ¼ + 1 = 3.5, over 4: 0.875; root 0.935414.
    "abduction/solve": [1.069045, -0.534522, -0.534522, -1.069045],
    # Mean (½ + 1.5 - 1 - 1)/8 = 0; squares 4/64 + 2·0.5625 + 1 + 1 = 3.1875, over 7: 0.455357; root 0.674801.
    "induction/propose": [0.185240, 1.111439, -1.481918, -1.481918],
    # Mean (1 + 1 + 2 - 2)/8 = ¼; all deviations ±¾: squares 8·0.5625 = 4.5, over 7: 0.642857; root 0.801784.
    "induction/solve": [0.935414, 0.935414, 0.935414, -0.935414],
}


def token_whitened(rewards: list[float], tokens: list[int]) -> list[float]:
    """The published estimator written out: each token carries the reward; whiten over the cell's tokens."""
    every = [reward for reward, length in zip(rewards, tokens, strict=True) for _ in range(length)]
    mean, variance = statistics.fmean(every), statistics.variance(every)
    return [(reward - mean) * (1.0 / sqrt(variance + 1e-8)) for reward in rewards]


def published_reward(said: Said) -> float:
    """The published rule for a proposal, written out: -1 invalid, -½ for none or all solved, else 1 - rate."""
    if said.solved is None:
        return -1.0
    accuracy = 1.0 - said.solved / 8 if said.solved > 0 else 0.0
    return accuracy if accuracy > 0 else -0.5


@dataclass
class Step:
    """One step of the published algorithm, put together from azr's parts."""

    sandbox: Sandbox
    config: Config
    buffers: dict[str, TaskBuffer] = field(default_factory=dict)
    known: dict[str, Known] = field(default_factory=dict)
    drawn: dict[str, list[Task]] = field(default_factory=dict)
    accepted: dict[str, list[Task]] = field(default_factory=dict)
    verdicts: dict[str, dict[str, Verdict]] = field(default_factory=dict)
    """By type, and by how the solver did."""
    trajectories: dict[str, list[Trajectory]] = field(default_factory=dict)

    def begin(self) -> None:
        """What the buffers hold when the step starts: three tasks of long ago, two of the step before."""
        for kind in TYPES:
            buffer = self.buffers[kind] = TaskBuffer(self.config.buffers, np.random.default_rng(7))
            new, old = KNOWN[kind][:2], KNOWN[kind][2:]
            self.keep(kind, [self.gated(kind, known) for known in old], step=3)
            buffer.advance(9)
            self.keep(kind, [self.gated(kind, known) for known in new], step=9)
            buffer.advance(10)

    def gated(self, kind: str, known: Known) -> Task:
        task = drive(task_type(kind).gate(known.candidate, GateRules.of(self.config)), self.sandbox)
        assert isinstance(task, Task)
        self.known[task.id] = known
        return task

    def keep(self, kind: str, tasks: list[Task], step: int) -> None:
        """Tasks enter rated: their difficulty was estimated in the step that proposed them."""
        buffer = self.buffers[kind]
        buffer.advance(step)
        assert all(buffer.add_many([msgspec.structs.replace(task, born=Version(0, step)) for task in tasks]))
        buffer.rate_many([Estimate(task.id, correct=4, attempts=8, step=step) for task in tasks])

    def solve(self, kind: str) -> None:
        """The solve set is drawn before anything of this step is proposed; one attempt a task."""
        batch = self.config.algorithm.batch
        self.drawn[kind] = self.buffers[kind].draw(batch.solve, batch.replay_share)
        for task, (how, tokens) in zip(self.drawn[kind], SOLVED[kind], strict=True):
            verdict = self.attempt(kind, task, how)
            reward = solver_reward(verdict, truncated=how == "truncated", config=self.config.algorithm.solver_reward)
            self.say(Cell(kind, "solve"), task.id, tokens, reward)
            self.buffers[kind].rate_many([Estimate(task.id, correct=int(verdict.correct), attempts=1, step=10)])

    def attempt(self, kind: str, task: Task, how: str) -> Verdict:
        known = self.known[task.id]
        answer = {"wrong": known.wrong, "unreadable": UNREADABLE[kind]}.get(how, known.right)
        text = block(LABELS[kind], answer)
        said = text if how == "malformed" else response(text)
        plan = judge_attempt(task_type(kind), task, said, R1, VerifyRules.of(self.config), truncated=how == "truncated")
        verdict = drive(plan, self.sandbox)
        self.verdicts.setdefault(kind, {})[how] = verdict
        return verdict

    def propose(self, kind: str) -> None:
        """Judge the proposals, estimate the valid ones apart, pay, and keep every valid one whatever it was paid."""
        rated = [self.rated(kind, said) for said in PROPOSED[kind]]
        judged = ProposerReward(self.config.algorithm.proposer_reward).rewards([proposal for _, proposal in rated])
        for index, (said, pay) in enumerate(zip(PROPOSED[kind], judged, strict=True)):
            self.say(Cell(kind, "propose"), f"proposal {index}", said.tokens, pay.reward)
        self.accepted[kind] = [task for task, _ in rated if isinstance(task, Task)]
        self.keep(kind, self.accepted[kind], step=10)

    def rated(self, kind: str, said: Said) -> tuple[Task | Refusal, RatedProposal]:
        references = tuple(self.drawn[kind][: self.config.algorithm.game.references])
        plan = judge_proposal(task_type(kind), said.text, Ask(references=references), R1, GateRules.of(self.config))
        task = drive(plan, self.sandbox)
        assert isinstance(task, Task) == (said.solved is not None), task
        solved = said.solved or 0
        return task, RatedProposal(
            valid=isinstance(task, Task), right=solved, attempts=self.config.algorithm.rating.attempts
        )

    def say(self, cell: Cell, group: str, tokens: int, reward: float) -> None:
        said = self.trajectories.setdefault(str(cell), [])
        said.append(
            Trajectory(
                id=f"{cell}#{len(said)}",
                cell=cell,
                group=group,
                prompt_ids=np.zeros(3, dtype=np.int32),
                response_ids=np.zeros(tokens, dtype=np.int32),
                behaviour_logprobs=np.zeros(tokens, dtype=np.float32),
                spans=(),
                reward=reward,
                reward_version=Version(0, 10),
            )
        )

    def batch(self) -> list[Trajectory]:
        return [trajectory for said in self.trajectories.values() for trajectory in said]

    def advantages(self) -> Advantages:
        """Of the batch; the published step has no memory of batches before it."""
        remembered = Baselines()
        for _ in range(2):
            values, remembered = compute(Samples.of(self.batch()), self.config.algorithm.advantages, remembered)
        return values


@pytest.fixture(scope="module")
def paper() -> Config:
    """The preset, with four of each cell in the place of sixty-four."""
    return load([], ["algorithm=paper", "algorithm.batch.propose=4", "algorithm.batch.solve=4"])


@pytest.fixture(scope="module")
def step(paper: Config) -> Iterator[Step]:
    pool = open_sandbox("process", workers=1)
    try:
        step = Step(pool, paper)
        step.begin()
        for kind in TYPES:
            step.solve(kind)
        for kind in TYPES:
            step.propose(kind)
        yield step
    finally:
        pool.close()


def test_the_batch_holds_as_many_of_each_of_six_cells(step: Step, paper: Config) -> None:
    plan = BatchPlan.of(paper.algorithm)
    assert [str(quota.cell) for quota in plan.quotas] == [
        f"{kind}/{role}" for kind in TYPES for role in ("propose", "solve")
    ]
    got = compose(plan, {quota.cell: len(step.trajectories[str(quota.cell)]) for quota in plan.quotas}, {})
    assert not got.lacking
    assert set(got.take.values()) == {4}
    assert len(step.batch()) == 24


@pytest.mark.parametrize("kind", TYPES)
def test_solvers_get_the_tasks_of_the_step_before_and_then_older_ones(step: Step, kind: str) -> None:
    programs = [task.program for task in step.drawn[kind]]
    assert programs[:2] == [known.candidate.program for known in KNOWN[kind][:2]]
    assert set(programs[2:]) < {known.candidate.program for known in KNOWN[kind][2:]}
    assert len(set(programs)) == 4


@pytest.mark.parametrize("cell", sorted(REWARDS))
def test_rewards_are_those_worked_out_by_hand(step: Step, cell: str) -> None:
    assert [trajectory.reward for trajectory in step.trajectories[cell]] == REWARDS[cell]


@pytest.mark.parametrize("kind", TYPES)
def test_rewards_of_proposals_follow_the_published_rule_written_out(step: Step, kind: str) -> None:
    got = [trajectory.reward for trajectory in step.trajectories[f"{kind}/propose"]]
    assert got == [published_reward(said) for said in PROPOSED[kind]]


@pytest.mark.parametrize("kind", TYPES)
def test_an_answer_between_right_tags_is_at_worst_wrong_as_published(step: Step, kind: str) -> None:
    verdict = step.verdicts[kind]["unreadable"]
    assert verdict.reason.startswith("malformed:")
    paper, ours = step.config.algorithm.solver_reward, load().algorithm.solver_reward
    assert solver_reward(verdict, truncated=False, config=paper) == -0.5
    assert solver_reward(verdict, truncated=False, config=ours) == -1.0


def test_an_answer_without_tags_is_malformed_on_either(step: Step) -> None:
    verdict = step.verdicts["deduction"]["malformed"]
    assert verdict.reason == "malformed:thought_unfinished"
    assert solver_reward(verdict, truncated=False, config=step.config.algorithm.solver_reward) == -1.0


@pytest.mark.parametrize("cell", sorted(ADVANTAGES))
def test_advantages_are_token_whitened_inside_each_cell(step: Step, cell: str) -> None:
    batch, values = step.batch(), step.advantages()
    got = [
        value for trajectory, value in zip(batch, values.values.tolist(), strict=True) if str(trajectory.cell) == cell
    ]
    tokens = [len(trajectory.response_ids) for trajectory in step.trajectories[cell]]
    assert got == pytest.approx(token_whitened(REWARDS[cell], tokens), rel=1e-12)
    assert got == pytest.approx(ADVANTAGES[cell], abs=2e-6)
    assert values.trained.all()


def test_the_token_weighted_mean_of_each_cells_advantages_is_zero(step: Step) -> None:
    for cell, said in step.trajectories.items():
        lengths = [len(trajectory.response_ids) for trajectory in said]
        assert np.dot(ADVANTAGES[cell], lengths) == pytest.approx(0.0, abs=1e-5)


def test_every_sequence_weighs_the_same(step: Step, paper: Config) -> None:
    assert (loss_weights([trajectory.cell for trajectory in step.batch()], paper.algorithm) == 1.0).all()


@pytest.mark.parametrize(("kind", "valid"), [("deduction", 2), ("abduction", 3), ("induction", 2)])
def test_buffers_take_every_valid_task_whatever_it_was_paid_and_no_other(step: Step, kind: str, valid: int) -> None:
    assert len(step.accepted[kind]) == valid
    assert len(step.buffers[kind]) == len(KNOWN[kind]) + valid
    for task in step.accepted[kind]:
        assert task.id in step.buffers[kind]
        assert task.task_type == kind


def test_what_enters_is_what_the_program_gave(step: Step) -> None:
    outputs = {task.program: (task.inputs, task.outputs) for task in step.accepted["deduction"]}
    assert outputs == {
        "def f(text):\n    return text[::-1]": (("'abc'",), ("'cba'",)),
        "def f(a, b):\n    return a + b": (("1, 2",), ("3",)),
    }
    first, second = step.accepted["induction"]
    # Ten inputs for the first program the proposer was shown, x * 2, half of them for the solver to see.
    assert first.outputs == ("20", "22", "24", "26", "28", "30", "32", "34", "36", "38")
    assert second.outputs[:3] == ("0", "-2", "-4")
    assert (first.shown, second.shown) == (5, 5)


@pytest.mark.parametrize("kind", TYPES)
def test_the_next_steps_solver_begins_with_what_this_one_proposed(step: Step, kind: str) -> None:
    buffer = TaskBuffer.from_state(step.buffers[kind].state(), step.config.buffers)
    buffer.advance(11)
    drawn = buffer.draw(4, step.config.algorithm.batch.replay_share)
    assert [task.id for task in drawn[: len(step.accepted[kind])]] == [task.id for task in step.accepted[kind]]
    assert len(drawn) == 4
