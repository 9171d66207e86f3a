"""What a learner step costs besides generating and training: rewards, advantages, buffers, ledger, journal.

One default step on one core: 1,920 trajectories of a thousand tokens, judged, paid, acknowledged through a journal on
disk, drawn from and rated in the task buffers, composed into a batch, turned into advantages, committed. What
generates, verifies and trains is left out, as are network and serialisation between processes.

    proposals ─ propose, judge ─► experience ─ journal ─► rating ─► rewards ─┐
    buffers ──── draw, replay ──► attempts ─── journal ─► rating ────────────┼─► take ─► advantages ─► commit, publish
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

import numpy as np

from azr.advantages import Baselines, Samples, compute
from azr.bench import Report
from azr.buffers.task_buffer import Estimate, TaskBuffer
from azr.config.sections.algorithm import AlgorithmConfig, TermConfig
from azr.config.sections.buffers import BuffersConfig
from azr.config.sections.staleness import StalenessConfig
from azr.game.batch import BatchPlan, loss_weights
from azr.game.rewards import Answer, ProposerReward, RatedProposal, solver_reward
from azr.game.rewards.registry import BUILT_IN
from azr.game.types import Cell, Task, Trajectory, Verdict, Version, VersionSpan
from azr.game.wire import encode
from azr.journal.durable import open_experience
from azr.journal.journal import Journal
from azr.journal.storage import Folder
from azr.ledger.experience import Batch, Experience
from azr.ledger.ledger import Sample
from azr.staleness.admission import Limits
from sandbox_wasm.protocol import Facts

SUMMARY = "a step's bookkeeping: rewards, advantages, buffers, ledger and journal for 1,920 trajectories"

#: Proposals of each type that pass the gate: enough for the three quarters of the solve quota that are new tasks.
VALID = 54
#: Nodes in the syntax tree of a program: seeds have 50 to 150.
NODES = 200
GOAL_SECONDS = 0.5

_KINDS = tuple(f"Node{number}" for number in range(40))
_RIGHT = Verdict(correct=True, well_formed=True, reason="correct")
_WRONG = Verdict(correct=False, well_formed=True, reason="wrong")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare how long to measure, and which journal."""
    parser.add_argument("--rounds", type=int, default=7, help="steps measured of each kind (default: %(default)s)")
    parser.add_argument(
        "--tokens", type=int, default=1000, help="response tokens of a trajectory (default: %(default)s)"
    )
    parser.add_argument(
        "--held", type=int, default=4000, help="rated tasks in each buffer at the beginning (default: %(default)s)"
    )
    parser.add_argument(
        "--sync",
        choices=("commit", "interval", "never"),
        default="commit",
        help="when the journal is synced to disk (default: %(default)s, safest and slowest)",
    )


def run(arguments: argparse.Namespace, report: Report) -> None:
    """Measure default steps, then steps with every reward term on."""
    report.settings |= {
        "tokens": arguments.tokens,
        "sync": arguments.sync,
        "held": arguments.held,
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
        cpu = sorted(sum(seconds.values()) - seconds["wall"] for seconds in rounds)[arguments.rounds // 2]
        report.goal(f"{name}: CPU seconds of a step", cpu, at_most=GOAL_SECONDS, unit="s")
    report.note(
        "parts are CPU seconds of one core; `wall` is the whole step's wall time, in which some 700 appends wait for "
        "the disk one after the other unless --sync says otherwise"
    )


class Step:
    """Everything that books, in one process, and the steps that run through it."""

    def __init__(self, folder: Path, terms: Sequence[str], arguments: argparse.Namespace) -> None:
        self.algorithm = AlgorithmConfig()
        self.algorithm.proposer_reward.terms = {name: TermConfig(coefficient=0.1) for name in terms}
        limits = Limits.of(self.algorithm, StalenessConfig())
        journal = _journal(folder / "experience", arguments.sync)
        self.experience: Experience = open_experience(journal, limits, now=0.0)[0]
        self.payloads = _journal(folder / "payloads", arguments.sync)
        self.payloads.open()
        self.judges = ProposerReward(self.algorithm.proposer_reward)
        self.baselines = Baselines()
        self.generator = np.random.default_rng(0)
        self.tokens: int = arguments.tokens
        self.step = 0
        self.trained = 0
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.buffers = {kind: _held(kind, arguments.held) for kind in self.algorithm.game.task_types}
        self.facts = [_facts(self.generator) for _ in range(256)]

    def run(self) -> dict[str, float]:
        """One step; CPU seconds by part, and the wall time of it all."""
        self.seconds = defaultdict(float)
        made = {kind: self._made(kind) for kind in self.buffers}
        began = time.perf_counter()
        payloads: dict[str, Trajectory] = {}
        for kind, (tasks, proposals, solved) in made.items():
            payloads |= self._propose(kind, tasks, proposals)
            payloads |= self._rate(kind, tasks, solved[:VALID])
            payloads |= self._replay(kind, solved[VALID:])
        with self._part("ledger and journal"):
            batch = self.experience.take(Version(0, self.step), BatchPlan.of(self.algorithm))
        if not isinstance(batch, Batch):
            raise RuntimeError(f"the step is short of samples: {batch}")
        self._train([payloads[item.sample.id] for item in batch.items])
        with self._part("ledger and journal"):
            self.experience.commit(Version(0, self.step))
            self.step += 1
            self.experience.publish(Version(0, self.step))
            self.experience.forget(self.step - 2)
        with self._part("buffers"):
            for buffer in self.buffers.values():
                buffer.advance(self.step)
        return {**self.seconds, "wall": time.perf_counter() - began}

    def _propose(self, kind: str, tasks: list[Task], trajectories: list[Trajectory]) -> dict[str, Trajectory]:
        """Proposals are admitted one by one, come in, and those with a task open their ratings."""
        names = [task.id for task in tasks] + [None] * (len(trajectories) - len(tasks))
        with self._part("ledger and journal"):
            for trajectory in trajectories:
                self._must(self.experience.propose(trajectory.group, kind, "proposer", 0.0))
            self.experience.judge_many([(Sample.of(one), name) for one, name in zip(trajectories, names, strict=True)])
        with self._part("journal of payloads"):
            self.payloads.append_many([encode(one) for one in trajectories])
        with self._part("buffers"):
            self.buffers[kind].add_many(tasks)
            self.buffers[kind].draw_new(len(tasks))
        return {one.id: one for one in trajectories}

    def _rate(self, kind: str, tasks: list[Task], solved: list[int]) -> dict[str, Trajectory]:
        """The attempts at new tasks, then what their proposals earned."""
        done = self._attempts(kind, [task.id for task in tasks], solved, new=True)
        shown = [self.facts[index] for index in self.generator.integers(0, len(self.facts), 6)]
        rated = [
            RatedProposal(
                valid=index < VALID,
                right=solved[index] if index < VALID else 0,
                attempts=self.algorithm.rating.attempts,
                facts=self.facts[index],
                references=tuple(shown),
                answers=(Answer("int", str(self.generator.integers(1000))),),
            )
            for index in range(self.algorithm.batch.propose)
        ]
        with self._part("rewards"):
            self.judges.rewards(rated)
        return done

    def _replay(self, kind: str, solved: list[int]) -> dict[str, Trajectory]:
        """Attempts at old tasks, by priority."""
        with self._part("buffers"):
            tasks = self.buffers[kind].draw_replay(len(solved))
        with self._part("ledger and journal"):
            for task in tasks:
                group = f"{kind}/replay/{self.step}/{task.id}"
                self._must(self.experience.replay(group, kind, task.id, "solver", 0.0))
        groups = [f"{kind}/replay/{self.step}/{task.id}" for task in tasks]
        return self._attempts(kind, groups, solved, new=False)

    def _attempts(self, kind: str, names: list[str], solved: list[int], *, new: bool) -> dict[str, Trajectory]:
        """Groups of attempts come in one after the other, as solvers finish them."""
        done: dict[str, Trajectory] = {}
        for name, right in zip(names, solved, strict=True):
            with self._part("ledger and journal"):
                group = self.experience.next_group("solver", 0.0) if new else self.experience.book.group(name)
            if group is None:
                raise RuntimeError("a rating that was opened is not given out")
            verdicts = [_RIGHT if index < right else _WRONG for index in range(group.size)]
            with self._part("rewards"):
                rewards = [
                    solver_reward(verdict, truncated=False, config=self.algorithm.solver_reward) for verdict in verdicts
                ]
            made = [
                self._trajectory(name, Cell(kind, "solve"), group.id, reward)
                for name, reward in zip(group.awaited, rewards, strict=True)
            ]
            with self._part("journal of payloads"):
                self.payloads.append_many([encode(one) for one in made])
            with self._part("ledger and journal"):
                rated = self.experience.attempt_many(
                    [Sample.of(one, correct=verdict.correct) for one, verdict in zip(made, verdicts, strict=True)]
                )
            with self._part("buffers"):
                self.buffers[kind].rate_many(
                    [Estimate(one.task, one.rating.correct, one.rating.attempts, self.step) for one in rated]
                )
            done |= {one.id: one for one in made}
        return done

    def _train(self, trajectories: list[Trajectory]) -> None:
        with self._part("advantages"):
            samples = Samples.of(trajectories)
            _, self.baselines = compute(samples, self.algorithm.advantages, self.baselines)
            loss_weights([trajectory.cell for trajectory in trajectories], self.algorithm)
        self.trained += len(trajectories)

    def _made(self, kind: str) -> tuple[list[Task], list[Trajectory], list[int]]:
        """What the model brings into this step: tasks, proposals, and how many attempts at each task are right."""
        name = f"{kind}/{self.step}"
        tasks = [_task(kind, f"{name}/{index}") for index in range(VALID)]
        cell = Cell(kind, "propose")
        proposals = [
            self._trajectory(f"{name}/proposal/{index}#0", cell, f"{name}/proposal/{index}", -1.0)
            for index in range(self.algorithm.batch.propose)
        ]
        groups = self.algorithm.batch.solve // self.algorithm.batch.attempts_per_task
        return tasks, proposals, self.generator.integers(0, 9, groups).tolist()

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

    @contextlib.contextmanager
    def _part(self, name: str) -> Iterator[None]:
        began = time.process_time()
        yield
        self.seconds[name] += time.process_time() - began

    @staticmethod
    def _must(refusal: object) -> None:
        if refusal is not None:
            raise RuntimeError(f"work was refused that the step needs: {refusal}")


def _held(kind: str, count: int) -> TaskBuffer:
    """A buffer in the midst of a run: its tasks were all drawn and rated before."""
    buffer = TaskBuffer(BuffersConfig(), np.random.default_rng(1))
    tasks = [_task(kind, f"{kind}/held/{index}") for index in range(count)]
    buffer.add_many(tasks)
    buffer.draw_new(count)
    buffer.rate_many([Estimate(task.id, index % 9, 8, 0) for index, task in enumerate(tasks)])
    return buffer


def _journal(folder: Path, sync: str) -> Journal:
    folder.mkdir()
    return Journal(
        Folder(folder),
        draw_marker=lambda: secrets.token_bytes(8),
        clock=time.monotonic,
        policy=sync,  # type: ignore[arg-type]  # one of the choices of the command line
    )


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
