"""What a learner step costs in bookkeeping alone, for 1,920 trajectories of 1,000 tokens: the default step.

Everything from generated samples to the learner's batch, by the same calls as the services make: wire-encoded
proposals and attempts go into the experience and its journal, tasks and ratings into durable buffers and theirs; then
the batch is taken, decoded, rewarded by its ratings, and given its advantages. Left out: generation, verification,
network and serialisation between processes.

    next_work ─► proposals ─ tasks.add_many, judge_many ─► journals ─┐
    next_work ─► attempts ── attempt_many, tasks.rate_many ─► journals ─┴─► take ─► decode ─► rewards ─► advantages
                                                                               commit, publish, keep, advance   ◄─┘
"""

from __future__ import annotations

import argparse
import contextlib
import secrets
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np

from azr.advantages import Baselines, Samples, compute
from azr.bench import Report
from azr.buffers.task_buffer import Estimate, TaskBuffer
from azr.cli.numbers import whole
from azr.config.sections.algorithm import AlgorithmConfig, TermConfig
from azr.config.sections.buffers import BuffersConfig
from azr.config.sections.staleness import StalenessConfig
from azr.game.batch import BatchPlan, loss_weights
from azr.game.rewards import Answer, ProposerReward, RatedProposal, solver_reward
from azr.game.rewards.registry import BUILT_IN
from azr.game.types import Attempt, Cell, Proposal, Task, Trajectory, Verdict, Version, VersionSpan
from azr.game.wire import decode, encode
from azr.journal.durable import open_experience
from azr.journal.journal import Journal
from azr.journal.storage import Folder
from azr.journal.tasks import DurableTasks
from azr.ledger.events import Group
from azr.ledger.experience import Batch, Experience, Item, Rated
from azr.ledger.ledger import Sample
from azr.ledger.work import ToAttempt, ToPropose, ToReplay
from azr.staleness.admission import Limits
from sandbox_wasm.protocol import Facts

SUMMARY = "a step's bookkeeping: rewards, advantages, buffers, ledger and journal for 1,920 trajectories"

#: Share of the proposals that pass the gate: enough for the three quarters of the solve quota that are new tasks.
VALIDITY = 54 / 64
#: Nodes in the syntax tree of a program: seeds have 50 to 150.
NODES = 200
GOAL_SECONDS = 0.5

_KINDS = tuple(f"Node{number}" for number in range(40))
_RIGHT = Verdict(correct=True, well_formed=True, reason="correct")
_WRONG = Verdict(correct=False, well_formed=True, reason="wrong")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare how long to measure, and which journal."""
    parser.add_argument("--rounds", type=whole(1), default=7, help="steps measured of each kind (default: %(default)s)")
    parser.add_argument(
        "--tokens", type=whole(1), default=1000, help="response tokens of a trajectory (default: %(default)s)"
    )
    parser.add_argument(
        "--held", type=whole(0), default=4000, help="rated tasks in each buffer at the beginning (default: %(default)s)"
    )
    parser.add_argument(
        "--together",
        type=whole(1),
        default=8,
        help="proposals, or groups of attempts, that are asked for and reported in one call (default: %(default)s)",
    )
    parser.add_argument(
        "--sync",
        choices=("commit", "interval", "never"),
        default="commit",
        help="when the journals are synced to disk (default: %(default)s, safest and slowest)",
    )


def run(arguments: argparse.Namespace, report: Report) -> None:
    """Measure default steps, then steps with every reward term on."""
    report.settings |= {
        "tokens": arguments.tokens,
        "sync": arguments.sync,
        "held": arguments.held,
        "together": arguments.together,
        "rounds": arguments.rounds,
    }
    for name, terms in (("default terms", ()), ("all terms", tuple(BUILT_IN))):
        report.progress(name)
        with tempfile.TemporaryDirectory(prefix="azr-bookkeeping-") as folder:
            step = Step(Path(folder), terms, arguments)
            rounds = [step.run() for _ in range(arguments.rounds + 1)][1:]
            step.experience.assert_closed()
        for part in rounds[0]:
            report.measure(f"{name}: {part}", "s", [seconds[part] for seconds in rounds], better="lower")
        report.check(f"{name}: every step trained 1,920 trajectories", step.trained == 1920 * (arguments.rounds + 1))
        report.check(f"{name}: every proposal was paid by its rating", step.paid == 192 * (arguments.rounds + 1))
        cpu = sorted(sum(seconds.values()) - seconds["wall"] for seconds in rounds)[arguments.rounds // 2]
        report.goal(f"{name}: CPU seconds of a step", cpu, at_most=GOAL_SECONDS, unit="s")
        report.note(f"{name}: {step.appends // (arguments.rounds + 1)} appends to journals a step")
    report.note(
        "parts are CPU seconds of one core; `wall` is the whole step's wall time, in which appends wait for the disk"
        " one after the other unless --sync says otherwise"
    )


class Step:
    """Everything that books, in one process, and the steps that run through it."""

    def __init__(self, folder: Path, terms: Sequence[str], arguments: argparse.Namespace) -> None:
        self.algorithm = AlgorithmConfig()
        self.algorithm.proposer_reward.terms = {name: TermConfig(coefficient=0.1) for name in terms}
        self.plan = BatchPlan.of(self.algorithm)
        limits = Limits.of(self.algorithm, StalenessConfig())
        self.appends = self.trained = self.paid = self.step = 0
        experience_journal = self._journal(folder / "experience", arguments.sync)
        self.experience: Experience = open_experience(experience_journal, limits, now=0.0)[0]
        kinds = self.algorithm.game.task_types
        buffers = {kind: _held(kind, arguments.held) for kind in kinds}
        self.tasks = DurableTasks(buffers, self._journal(folder / "tasks", arguments.sync))
        self.tasks.open()
        self.judge = ProposerReward(self.algorithm.proposer_reward)
        self.baselines = Baselines()
        self.generator = np.random.default_rng(0)
        self.tokens: int = arguments.tokens
        self.together: int = arguments.together
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.facts = [_facts(self.generator) for _ in range(256)]
        self.known: dict[str, tuple[Facts, tuple[Facts, ...]]] = {}
        """Of a proposal: the facts of its program and of those it was shown, as terms ask for them."""

    def run(self) -> dict[str, float]:
        """One step; CPU seconds by part, and the wall time of it all."""
        self.seconds = defaultdict(float)
        began = time.perf_counter()
        made = len(self.algorithm.game.task_types) * self.algorithm.batch.propose
        groups = sum(quota.groups for quota in self.plan.quotas) - made
        for start in range(0, made, self.together):
            self._propose([f"p{self.step}.{number}" for number in range(start, min(made, start + self.together))])
        for start in range(0, groups, self.together):
            self._solve([f"s{self.step}.{number}" for number in range(start, min(groups, start + self.together))])
        with self._part("experience and its journal"):
            batch = self.experience.take(Version(0, self.step), self.plan)
        if not isinstance(batch, Batch):
            raise RuntimeError(f"the step is short of samples: {batch}")
        self._train(batch.items)
        with self._part("experience and its journal"):
            self.experience.commit(Version(0, self.step))
        self.step += 1
        with self._part("buffers and their journal"):
            self.tasks.advance(self.step)
        with self._part("experience and its journal"):
            self.experience.publish(Version(0, self.step))
            self.experience.keep([self.step - 1, self.step])
        return {**self.seconds, "wall": time.perf_counter() - began}

    def _propose(self, names: Sequence[str]) -> None:
        """A proposer's lanes: admitted, generated, gated; tasks enter their buffers, and open their ratings."""
        with self._part("experience and its journal"):
            work = self.experience.next_work("proposer", names, 0.0, roles=["propose"])
        proposals = [self._proposal(one) for one in work if isinstance(one, ToPropose)]
        with self._part("buffers and their journal"):
            self.tasks.add_many([one.task for one in proposals if one.task is not None], out=True)
        with self._part("wire"):
            bodies = [encode(one) for one in proposals]
        judged = [
            (Sample.of(one.trajectory, body=body), one.task.id if one.task else None)
            for one, body in zip(proposals, bodies, strict=True)
        ]
        with self._part("experience and its journal"):
            self.experience.judge_many(judged)

    def _proposal(self, work: ToPropose) -> Proposal:
        number = int(work.group.rpartition(".")[2]) // len(self.algorithm.game.task_types)
        shown = tuple(self.facts[index] for index in self.generator.integers(0, len(self.facts), 6))
        self.known[work.group] = (self.facts[number % len(self.facts)], shown)
        cell = Cell(work.task_type, "propose")
        valid = number < round(self.algorithm.batch.propose * VALIDITY)
        return Proposal(
            trajectory=self._trajectory(f"{work.group}#0", cell, work.group, 0.0),
            task=_task(work.task_type, f"{work.task_type}/{work.group}") if valid else None,
            reason="accepted" if valid else "duplicate",
        )

    def _solve(self, names: Sequence[str]) -> None:
        """A solver's lanes: ratings first, then attempts at old tasks."""
        with self._part("experience and its journal"):
            work = self.experience.next_work("solver", names, 0.0, roles=["solve"])
        replays = []
        with self._part("buffers and their journal"):
            for one in work:
                if isinstance(one, ToReplay):
                    (task,) = self.tasks.buffers[one.task_type].draw(1, self.algorithm.batch.replay_share)
                    replays.append((one.group, one.task_type, task.id))
        with self._part("experience and its journal"):
            refused = any(self.experience.replay_many(replays, "solver", 0.0)) if replays else False
        if refused or len(work) < len(names):
            raise RuntimeError("work was refused that the step needs")
        groups = [one.group if isinstance(one, ToAttempt) else self.experience.book.group(one.group) for one in work]
        self._attempt(groups)

    def _attempt(self, groups: Sequence[Group]) -> None:
        """Groups of attempts come in whole."""
        attempts: list[Attempt] = []
        for group, right in zip(groups, self.generator.integers(0, 9, len(groups)).tolist(), strict=True):
            verdicts = [_RIGHT if index < right else _WRONG for index in range(group.size)]
            with self._part("rewards"):
                config = self.algorithm.solver_reward
                rewards = [solver_reward(verdict, truncated=False, config=config) for verdict in verdicts]
            attempts += [
                Attempt(
                    trajectory=self._trajectory(name, group.cell, group.id, reward), task_id=group.task, verdict=verdict
                )
                for name, reward, verdict in zip(group.awaited, rewards, verdicts, strict=True)
            ]
        with self._part("wire"):
            bodies = [encode(one) for one in attempts]
        samples = [
            Sample.of(one.trajectory, correct=one.verdict.correct, body=body)
            for one, body in zip(attempts, bodies, strict=True)
        ]
        with self._part("experience and its journal"):
            rated = self.experience.attempt_many(samples)
        with self._part("buffers and their journal"):
            self._rate(rated, {group.task: group.task_type for group in groups})

    def _rate(self, rated: Sequence[Rated], kinds: dict[str, str]) -> None:
        estimates: dict[str, list[Estimate]] = {}
        for one in rated:
            estimate = Estimate(one.task, one.rating.correct, one.rating.attempts, one.rating.oldest.step)
            estimates.setdefault(kinds[one.task], []).append(estimate)
        for kind, of_kind in estimates.items():
            if self.tasks.rate_many(kind, of_kind) != len(of_kind):
                raise RuntimeError("a task was rated that is not held")

    def _train(self, items: Sequence[Item]) -> None:
        """From the batch as it was taken to what the learner multiplies."""
        trajectories: list[Trajectory] = []
        proposals: list[int] = []
        rated: list[RatedProposal] = []
        with self._part("wire"):
            for index, item in enumerate(items):
                if item.sample.cell.role == "propose":
                    proposal = decode(item.sample.body, Proposal)
                    trajectories.append(proposal.trajectory)
                    proposals.append(index)
                    rated.append(self._rated(item, proposal))
                else:
                    trajectories.append(decode(item.sample.body, Attempt).trajectory)
        with self._part("rewards"):
            for index, pay in zip(proposals, self.judge.rewards(rated), strict=True):
                trajectories[index] = msgspec.structs.replace(trajectories[index], reward=pay.reward)
        with self._part("advantages"):
            samples = Samples.of(trajectories)
            _, self.baselines = compute(samples, self.algorithm.advantages, self.baselines)
            loss_weights([trajectory.cell for trajectory in trajectories], self.algorithm)
        self.trained += len(trajectories)
        self.paid += len(rated)

    def _rated(self, item: Item, proposal: Proposal) -> RatedProposal:
        """What rewards may know of a proposal: its rating is that of its own attempts."""
        facts, shown = self.known.pop(item.group.id)
        rating = item.group.rating
        if proposal.task is None or rating is None:
            return RatedProposal(valid=False)
        return RatedProposal(
            valid=True,
            right=rating.correct,
            attempts=rating.attempts,
            program=proposal.task.program,
            facts=facts,
            references=shown,
            answers=(Answer("str", proposal.task.outputs[0]),),
        )

    def _trajectory(self, name: str, cell: Cell, group: str, reward: float) -> Trajectory:
        return Trajectory(
            id=name,
            cell=cell,
            group=group,
            prompt_ids=np.zeros(400, dtype=np.int32),
            response_ids=np.zeros(self.tokens, dtype=np.int32),
            behaviour_logprobs=np.zeros(self.tokens, dtype=np.float32),
            spans=(VersionSpan(0, self.tokens, Version(0, self.step)),),
            reward=reward,
            reward_version=Version(0, self.step),
        )

    def _journal(self, folder: Path, sync: str) -> Journal:
        folder.mkdir()
        journal = Journal(
            Folder(folder),
            draw_marker=lambda: secrets.token_bytes(8),
            clock=time.monotonic,
            policy=sync,  # type: ignore[arg-type]  # one of the choices of the command line
        )
        append = journal.append_many

        def counted(records: Sequence[bytes]) -> None:
            self.appends += 1
            append(records)

        journal.append_many = counted  # type: ignore[method-assign]
        return journal

    @contextlib.contextmanager
    def _part(self, name: str) -> Iterator[None]:
        began = time.process_time()
        yield
        self.seconds[name] += time.process_time() - began


def _held(kind: str, count: int) -> TaskBuffer:
    """A buffer in the midst of a run: its tasks were all drawn and rated before."""
    buffer = TaskBuffer(BuffersConfig(), np.random.default_rng(1))
    tasks = [_task(kind, f"{kind}/held/{index}") for index in range(count)]
    buffer.add_many(tasks)
    buffer.draw_new(count)
    buffer.rate_many([Estimate(task.id, index % 9, 8, 0) for index, task in enumerate(tasks)])
    return buffer


def _task(kind: str, name: str) -> Task:
    return Task(
        id=name,
        task_type=kind,
        program=f"def f(x):\n    return x + {name!r}",
        inputs=("'a'",),
        outputs=(repr("a" + name),),
        normal_form=name,
        fingerprint=name,
    )


def _facts(generator: np.random.Generator) -> Facts:
    return Facts(
        parameters=1,
        modules=(),
        names=(),
        functions=("f",),
        classes=(),
        calls=(),
        normal_form="",
        tokens=tuple(_KINDS[index] for index in generator.integers(0, len(_KINDS), NODES)),
        lines=10,
        cyclomatic=3,
        cognitive=4,
        halstead_effort=1000.0,
        halstead_volume=200.0,
    )
