"""Random schedules of a whole run around one experience: proposers, solvers, replicas, learner, and what befalls them.

A `Schedule` plays everybody but the experience, with everything random drawn from its seed: who comes next, how long a
sample takes, when replicas get new weights, die, or lose a request silently, when the service restarts from its
journal, and when the driver resumes from a checkpoint. It keeps books of its own (which weights made what, which of
them still exist) and checks every batch against those, not against what the experience believes.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain

from azr.game.batch import BatchPlan, Quota
from azr.game.types import Cell, Version
from azr.ledger.events import Event, decode, encode
from azr.ledger.experience import Batch, Experience
from azr.ledger.ledger import Sample
from azr.ledger.taking import Shortage
from azr.ledger.work import ToAttempt, ToPropose, ToReplay, Work
from azr.staleness.admission import Limits
from tests.ledger.play import next_group, replay

#: Ticks in which anything may happen.
WILD_TICKS = 60
#: Rounds without mishap in which the learner must get on; a healthy schedule needs a handful for each step.
CALM_ROUNDS = 200
CALM_STEPS = 2
LEASE = 25.0


@dataclass
class Request:
    """One sample being generated."""

    sample: str
    group: str
    cell: Cell
    replica: int
    versions: tuple[Version, ...]
    """The weights that made its tokens: more than one when its replica was updated meanwhile."""
    ticks: int


@dataclass
class Schedule:
    """One run, from its seed."""

    seed: int
    random: random.Random = field(init=False)
    events: list[bytes] = field(default_factory=list)
    running: list[Request] = field(default_factory=list)
    made_by: dict[str, tuple[Version, ...]] = field(default_factory=dict)
    """The weights that made each acknowledged sample."""
    alive: set[Version] = field(default_factory=lambda: {Version(0, 0)})
    """Weights that exist or can be had again."""
    trained: dict[str, int] = field(default_factory=dict)
    """Samples trained on, by step."""
    checkpoints: list[Version] = field(default_factory=lambda: [Version(0, 0)])
    counts: Counter[str] = field(default_factory=Counter)
    brought_back: Counter[Cell] = field(default_factory=Counter)
    """Slots held above the bounds since the last resume."""

    def __post_init__(self) -> None:
        self.random = draw = random.Random(self.seed)
        attempts = draw.choice((1, 2, 3))
        propose = draw.choice((0, 1, 1, 2))
        rating_trained = draw.random() < 0.8
        self.limits = Limits(
            max_staleness=draw.choice((0, 0, 1, 2, 4)),
            propose=propose,
            solve=attempts * max(1, propose + draw.choice((0, 0, 1, 2))),
            attempts=attempts if rating_trained else attempts + 1,
            replay_attempts=attempts,
            replay_share=draw.choice((0.0, 0.25, 0.5, 1.0)),
            rating_trained=rating_trained,
            task_types=("deduction", "abduction")[: draw.choice((1, 1, 2))],
        )
        self.plan = self.draw_plan()
        self.quotas = {quota.cell: quota.sequences for quota in self.plan.quotas}
        self.validity = draw.choice((0.0, 0.5, 1.0))
        self.loss = draw.choice((0.0, 0.02, 0.1))
        self.replicas = [Version(0, 0)] * draw.choice((1, 2, 3))
        self.lineage = self.step = self.names = 0
        self.now = 0.0
        self.batch: Batch | None = None
        self.experience = self.begin()

    def draw_plan(self) -> BatchPlan:
        limits, groups = self.limits, self.limits.solve // self.limits.replay_attempts
        quotas = [Quota(Cell(name, "solve"), groups, limits.replay_attempts) for name in limits.task_types]
        if limits.propose:
            quotas += [Quota(Cell(name, "propose"), limits.propose) for name in limits.task_types]
        return BatchPlan(tuple(quotas), self.random.choice(("wait", "redistribute", "carry")))

    def begin(self) -> Experience:
        return Experience(self.limits, record=self.record, lease_seconds=LEASE, max_tries=3)

    def record(self, happened: Sequence[Event]) -> None:
        self.events.append(encode(happened))

    def run(self) -> Counter[str]:
        """Let anything happen for a while; then the learner must get on, whatever state the run was left in."""
        mishaps = (
            (0.02, self.restart_service),
            (0.02, self.resume),
            (0.04, self.kill_replica),
            (0.05, self.forget_old_checkpoints),
        )
        for _ in range(WILD_TICKS):
            self.now += self.random.choice((0.0, 1.0, 1.0, 5.0))
            for chance, mishap in mishaps:
                if self.random.random() < chance:
                    mishap()
            self.random.choice((self.ask_for_work, self.ask_for_work, self.generate, self.generate, self.learn))()
        self.experience.assert_closed()
        self.calm_down()
        self.experience.assert_closed()
        return self.counts

    def calm_down(self) -> None:
        goal = self.step + CALM_STEPS
        self.loss = 0.0
        for _ in range(CALM_ROUNDS):
            self.now += 5.0
            self.replicas = [max(self.alive)] * len(self.replicas)
            for _ in range(8):
                self.ask_for_work()
            self.generate(everything=True)
            self.learn()
            if self.step >= goal:
                return
        raise AssertionError(f"seed {self.seed}: the learner waits for ever: {self.describe()}")

    def describe(self) -> str:
        groups = Counter((group.kind, group.state) for group in self.experience.book.groups.values())
        return f"{self.limits} {self.quotas} groups {dict(groups)} running {len(self.running)}"

    # ---- proposers and solvers

    def ask_for_work(self) -> None:
        """Somebody has a lane free: lost and rating attempts first, else something new."""
        self.experience.expire(self.now)
        owner = f"actor-{self.random.randrange(3)}"
        names = [f"g{self.names + index}" for index in range(self.random.choice((1, 1, 3)))]
        self.names += len(names)
        if self.random.random() < 0.5:
            work = self.experience.next_work(owner, names, self.now)
            if self.random.random() < 0.1:
                again = [one.group for one in work if isinstance(one, ToPropose)]
                assert [one.group for one in self.experience.next_work(owner, again, self.now)] == again
            for one in work:
                self.follow(one, owner)
        elif (group := next_group(self.experience, owner, self.now)) is not None:
            self.start(group.id, group.cell, group.awaited)
        elif self.limits.propose and self.random.random() < 0.6:
            for one in self.experience.next_work(owner, names, self.now, roles=["propose"]):
                self.follow(one, owner)
        else:  # An owner with a will of its own, whatever its cell has under way.
            self.follow(ToReplay(names[0], self.random.choice(self.limits.task_types)), owner)
        self.check_slots()

    def follow(self, work: Work, owner: str) -> None:
        match work:
            case ToAttempt(group):
                self.start(group.id, group.cell, group.awaited)
            case ToPropose(name, task_type):
                self.start(name, Cell(task_type, "propose"), [f"{name}#0"])
            case ToReplay(name, task_type):
                if replay(self.experience, name, task_type, "old task", owner, self.now) is None:
                    size = self.limits.replay_attempts
                    self.start(name, Cell(task_type, "solve"), [f"{name}#{index}" for index in range(size)])

    def start(self, group: str, cell: Cell, samples: list[str]) -> None:
        for sample in samples:
            replica = self.random.randrange(len(self.replicas))
            ticks = self.random.choice((1, 1, 1, 2, 2, 3, 12))
            self.running.append(Request(sample, group, cell, replica, (self.replicas[replica],), ticks))

    def generate(self, everything: bool = False) -> None:
        """Requests get on by a token or finish; some are lost, and their owner may not even notice."""
        finished, going = [], []
        for request in self.running:
            request.ticks -= 1
            if (version := self.replicas[request.replica]) not in request.versions:
                request.versions += (version,)
            if self.random.random() < self.loss:
                if self.random.random() < 0.5:
                    self.experience.lost(request.group)
            elif everything or request.ticks <= 0:
                finished.append(request)
            else:
                going.append(request)
        self.running = going
        if finished and self.random.random() < 0.1:
            finished += finished[:1]  # a caller repeats itself
        self.report(finished)

    def report(self, finished: list[Request]) -> None:
        proposals, attempts = [], []
        for request in finished:
            if self.alive.issuperset(request.versions) and not self.experience.book.ledger.knows(request.sample):
                self.made_by.setdefault(request.sample, request.versions)
            tokens = self.random.randrange(1, 9)
            sample = Sample(
                id=request.sample,
                group=request.group,
                cell=request.cell,
                tokens=tokens,
                versions=request.versions,
                body=request.sample.encode(),
            )
            if request.cell.role == "propose":
                proposals.append((sample, "a task" if self.random.random() < self.validity else None))
            else:
                attempts.append(sample)
        self.experience.judge_many(proposals)
        self.experience.attempt_many(attempts)

    # ---- learner

    def learn(self) -> None:
        """The learner takes a batch, or commits its step; some time after that replicas have the new weights."""
        if self.batch is None:
            patient = self.random.random() < 0.8
            answer = self.experience.take(Version(self.lineage, self.step), self.plan, patient=patient)
            if isinstance(answer, Shortage):
                return
            self.batch = answer
            self.check(answer)
            return
        assert self.experience.take(self.batch.consumer, self.plan) == self.batch, "asked again, another batch came"
        self.experience.commit(self.batch.consumer)
        for item in self.batch.items:
            assert item.sample.id not in self.trained, f"seed {self.seed}: {item.sample.id} is trained on twice"
            self.trained[item.sample.id] = self.step
        self.batch = None
        self.step += 1
        self.counts["steps"] += 1
        new = Version(self.lineage, self.step)
        self.alive.add(new)
        if self.random.random() < 0.5:
            self.checkpoints.append(new)
            self.keep()
        if self.random.random() < 0.9:
            self.experience.publish(new)
            self.replicas = [new if self.random.random() < 0.8 else old for old in self.replicas]
        self.experience.publish(new)

    def check(self, batch: Batch) -> None:
        """The bound, against this schedule's own books; whole groups; quotas met exactly where nothing else may be."""
        where = f"seed {self.seed}, step {self.step}"
        for item in batch.items:
            self.check_age(item.sample.id, where)
            assert item.sample.body == item.sample.id.encode(), f"{where}: {item.sample.id} has lost its body"
            if item.group.rating is not None:
                for index in range(self.limits.attempts):
                    self.check_age(f"{item.group.id}/rating#{index}", where)
        by_group = Counter(item.group.id for item in batch.items)
        assert all(by_group[item.group.id] == item.group.size for item in batch.items), f"{where}: a group came in part"
        got = Counter(item.sample.cell for item in batch.items)
        if self.plan.when_dry == "wait":
            assert got == Counter(self.quotas), where
        elif self.plan.when_dry == "redistribute":
            for role in ("propose", "solve"):
                of_role = [cell for cell in self.quotas if cell.role == role]
                assert sum(got[cell] for cell in of_role) <= sum(self.quotas[cell] for cell in of_role), where
        else:
            assert all(got[cell] <= 2 * self.quotas[cell] for cell in self.quotas), where
        self.counts[f"{self.plan.when_dry} {'whole' if got == Counter(self.quotas) else 'other'}"] += 1

    def check_age(self, sample: str, where: str) -> None:
        assert sample in self.made_by, f"{where}: {sample} was made by dead weights only"
        versions = self.made_by[sample]
        assert self.alive.issuperset(versions), f"{where}: {sample} was made by dead weights {versions}"
        age = self.step - min(version.step for version in versions)
        assert 0 <= age <= self.limits.max_staleness, f"{where}: {sample} is {age} steps old"
        self.counts[f"age {age}"] += 1

    def excess(self, cell: Cell) -> int:
        """Slots above what the formula (propose) and docs/staleness.md (solve) allow; below zero when all is well."""
        admission, limits = self.experience.book.admission, self.limits
        bound = (limits.max_staleness + 1) * self.quotas[cell] * (1 if cell.role == "propose" else 2)
        bound += 2 * limits.propose * limits.rating_slots if cell.role == "solve" else 0
        return admission.outstanding(cell) - bound

    def check_slots(self) -> None:
        """Slots stay within their bounds; what a resume brought back above them only ever shrinks."""
        for cell in self.quotas:
            left = max(0, self.excess(cell))
            assert left <= self.brought_back[cell], f"seed {self.seed}: {cell} holds {left} slots too many"
            self.brought_back[cell] = left

    # ---- mishaps

    def kill_replica(self) -> None:
        """A replica dies with all its requests; it comes back with the newest weights. Half the owners tell."""
        dead = self.random.randrange(len(self.replicas))
        lost = [request for request in self.running if request.replica == dead]
        self.running = [request for request in self.running if request.replica != dead]
        self.replicas[dead] = max(self.alive)
        for request in lost:
            if self.random.random() < 0.5:
                self.experience.lost(request.group)
        self.counts["replicas killed"] += 1

    def restart_service(self) -> None:
        """The service dies and comes back from its journal, sometimes a compacted one; some actors claim their work."""
        if self.random.random() < 0.5:
            self.events = [encode([self.experience.book.snapshot()])]
        before = self.experience.book.snapshot()
        self.experience = self.begin()
        self.experience.rebuild(chain.from_iterable(map(decode, self.events)), self.now)
        assert self.experience.book.snapshot() == before, f"seed {self.seed}: the journal tells another story"
        for group in {request.group for request in self.running}:
            if self.random.random() < 0.5:
                self.experience.renew("actor-0", [group], self.now)
        self.experience.assert_closed()
        self.counts["services restarted"] += 1

    def resume(self) -> None:
        """The driver dies and resumes from a checkpoint under a new lineage; some old requests live on for a while."""
        at = self.random.choice(self.checkpoints)
        self.lineage += 1
        new = Version(self.lineage, at.step)
        self.experience.resume(at, self.lineage)
        self.experience.assert_closed()
        self.checkpoints = [version for version in self.checkpoints if version.step < at.step] + [at, new]
        # The weights under which another lineage began at this very step are the same, but go by a name that is lost.
        kept = {version for version in self.alive if version.lineage <= at.lineage and version.step <= at.step}
        self.alive = kept | {new}
        self.step, self.batch = at.step, None
        self.trained = {sample: step for sample, step in self.trained.items() if step < at.step}
        self.replicas = [new if self.random.random() < 0.7 else old for old in self.replicas]
        self.running = [request for request in self.running if self.random.random() < 0.3]
        self.brought_back = Counter({cell: max(0, self.excess(cell)) for cell in self.quotas})
        self.counts["slots brought back"] += self.brought_back.total()
        self.counts["resumes"] += 1

    def forget_old_checkpoints(self) -> None:
        self.checkpoints = self.checkpoints[-3:]
        self.keep()

    def keep(self) -> None:
        for _ in range(self.random.choice((1, 1, 2))):  # whoever did not hear the answer asks again
            self.experience.keep([version.step for version in self.checkpoints])
