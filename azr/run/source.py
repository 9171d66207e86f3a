"""The learner's batches out of the experience, and everything that must happen in the learner's order. On rank 0.

Owns the order of consuming: a batch is asked for after the one before is committed; a checkpoint holds what belongs to
its weights; whatever a restart of the ranks or a resume undoes is undone in the books before anything is asked for.

    begin ──► lineage: go on, or resume the books at the checkpoint's weights under a new one
    ready ──► players play; evaluation and seeding come before, and are no wait for a batch
    take ───► commit(step - 1) ──► experience.take, in short waits, until there is a batch or the run ends ──► prepare
    write_state ──► commit(step - 1) ──► keep what it may bring back ──► snapshots, baselines, the run's card
    commit ──► keep what the newest checkpoints may bring back, and nothing else

Who waits: `ready`, for the driver's stages before players, as long as they may take in all; and `take`, for the
experience, `run.batch_seconds` at most. The cells that lack something are named after a minute, and when that time is
over. Both waits end with what ended publishing, if that failed: engines would never have the weights that are waited
for. `begin` and `take` also wait for room for what a journal refuses (`azr.run.insisting`); a checkpoint does not, but
is left out like any for which there is no room: other ranks wait for it in a collective, whose deadline is shorter.
"""

from __future__ import annotations

import contextlib
import errno
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol

import msgspec

from actors.services.records import Position
from azr.config.root import Config
from azr.errors import AzrError
from azr.files import write_bytes
from azr.game.rewards.proposer import ProposerReward
from azr.game.types import Version
from azr.journal.journal import JournalError
from azr.ledger.experience import Batch
from azr.metrics import Accumulator
from azr.run.batches import Memory, Prepared, prepare
from azr.run.checkpoint import EXPERIENCE, TASKS, RunState, read_snapshot, read_state, write_state
from azr.run.folder import RunFolder
from azr.run.insisting import SAY_SECONDS, Insistence
from azr.run.learner_metrics import tell_step
from azr.run.watching import Watching
from azr.staleness.bound import Ancestry
from learner.checkpoint import NoRoomError, checkpoint_folder, complete_steps
from learner.samples import StepBatch
from learner.trainer import StepReport

#: Stages of the driver that the wait for players may outlast: engines, first weights and players have
#: `cluster.start_seconds` each to be ready, an evaluation and seeding `cluster.work_seconds` each.
READY_STAGES, WORK_STAGES = 3, 2
#: One wait for a batch; between two of them the wish to stop is heard.
PIECE_SECONDS = 1.0


class Experience(Protocol):
    """What is asked of the experience; `actors.services.experience_client.ExperienceClient` is it."""

    def take(self, consumer: Version, deadline_seconds: float) -> Batch | None:
        """The batch, or None when it is not there in time."""
        ...

    def lacking(self, consumer: Version) -> str:
        """What the batch lacks now, in words."""
        ...

    def commit(self, consumer: Version) -> None:
        """The step is done."""
        ...

    def publish(self, version: Version) -> None:
        """These weights generate."""
        ...

    def resume(self, at: Version, lineage: int) -> None:
        """Continue from these weights under a new lineage."""
        ...

    def keep(self, checkpoints: Sequence[int]) -> None:
        """A resume begins from one of the checkpoints of these steps."""
        ...

    def lineage(self) -> Version:
        """The newest lineage, and the step that comes next."""
        ...

    def positions(self) -> list[Position]:
        """Where each shard stands."""
        ...

    def ancestry(self) -> Ancestry:
        """The path of weights that led here."""
        ...

    def snapshot(self) -> bytes:
        """Everything, for a checkpoint."""
        ...

    def restore(self, snapshot: bytes) -> None:
        """Take up from a checkpoint."""
        ...


class Tasks(Protocol):
    """What is asked of the task buffers; `actors.services.task_client.TaskClient` is it."""

    def advance(self, step: int) -> None:
        """The learner is at this step."""
        ...

    def resume(self, at: Version) -> None:
        """The learner went back to this step, and goes on under this lineage."""
        ...

    def snapshot(self) -> bytes:
        """Everything, for a checkpoint."""
        ...

    def lost(self, snapshot: bytes | None) -> list[str]:
        """Names of the shards that know nothing, or less than the snapshot of a checkpoint."""
        ...

    def restore(self, snapshot: bytes, shards: Collection[str] = ()) -> None:
        """Take up from a checkpoint: the shards of these names, or all."""
        ...


class Hub(Protocol):
    """What is asked of the hub; `azr.run.hub.HubClient` is it."""

    def report(self, step: int, parts: dict[str, bytes], *, last: bool) -> None:
        """Part of a step's report."""
        ...

    def publish(self, step: int) -> None:
        """Engines have these weights."""
        ...

    def say(self, line: str) -> None:
        """Something a person should read."""
        ...

    def fail(self, why: str, mend: str) -> None:
        """The run cannot go on."""
        ...

    def add(self, content: bytes) -> None:
        """Metrics that belong to no step."""
        ...

    def stopping(self) -> str:
        """Why the run is to end, or nothing."""
        ...

    def playing(self) -> bool:
        """Whether players play."""
        ...


@dataclass(frozen=True)
class Setting:
    """What the source needs of a run; picklable."""

    config: Config
    checkpoints: Path
    experience: Experience
    tasks: Tasks
    hub: Hub


class RunSource:
    """Batches for `learner.loop`."""

    def __init__(
        self,
        setting: Setting,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._setting, self._clock, self._sleep = setting, clock, sleep
        self._experience, self._hub = setting.experience, setting.hub
        self._insist = Insistence(setting.hub, setting.config.run.batch_seconds, clock, sleep)
        self.lineage = 0
        self._ancestry = Ancestry()
        self._memory = Memory()
        self._watching = Watching(setting.config, setting.hub.say)
        self._judge: ProposerReward | None = None
        """Made for the first batch, when other ranks are told that this one is busy: a term may load a model."""
        self._next: Prepared | None = None
        """The batch that is being trained on, whose memory counts once it is."""
        self._check: Callable[[], None] = lambda: None
        """Raises what has gone wrong with publishing weights."""

    def begin(self, step: int) -> None:
        """Go on from the weights after `step` steps: undo in the books what came after them, if anything did."""
        at = self._checkpointed(step)
        positions = self._experience.positions()
        on_path = self._experience.ancestry().holds(at)  # another branch may have a checkpoint of the same step
        if not (on_path and all(position.reaches(at) for position in positions)):
            self._restore(positions, at)
        elif step > 0:
            self._restore_lost_tasks(at)
        if _is_continued(positions, at):
            self.lineage = at.lineage
        else:
            # A lost journal may have known fewer lineages than the checkpoint, and none may be used twice.
            self.lineage = max(at.lineage, *(position.lineage for position in positions)) + 1
            self._begun(at, partial(self._experience.resume, at, self.lineage))
            self._begun(at, partial(self._setting.tasks.resume, Version(self.lineage, step)))
            self._hub.say(f"lineage {self.lineage} goes on from the weights of step {step}")
        self._ancestry = self._experience.ancestry()

    def ready(self, check: Callable[[], None]) -> None:
        """Wait until players play, or the run ends. Until then nobody is asked for a batch: whoever is has patience for
        so long only, and then gives what there is. `check` is called in this wait and in those for batches."""
        self._check = check
        cluster = self._setting.config.cluster
        patience = READY_STAGES * cluster.start_seconds + WORK_STAGES * cluster.work_seconds
        deadline = self._clock() + patience
        while not self._hub.playing() and not self._hub.stopping():
            check()
            if self._clock() >= deadline:
                raise AzrError(
                    f"no player began within {patience:.0f} s",
                    "the driver's output says what it waited for",
                )
            self._sleep(PIECE_SECONDS)

    def take(self, step: int) -> StepBatch | None:
        """The batch of this step; None when the run ends."""
        consumer = Version(self.lineage, step)
        try:
            self._insist(_batch_of(consumer), partial(self._done, step), self._ends)
            batch = self._wait(consumer)
        except JournalError as error:  # the run ends, or has waited long enough, which the hub was told
            self._hub.say(f"the learner ends at step {step}: {error.what}")
            return None
        if batch is None:
            return None
        began = time.perf_counter()
        config = self._setting.config
        self._judge = self._judge or ProposerReward(config.algorithm.proposer_reward)
        self._next = prepare(
            batch.items,
            consumer,
            self._ancestry,
            config.algorithm,
            config.staleness.max_staleness,
            self._memory,
            judge=self._judge,
            look=self._watching.look if self._watching.on else None,
            seed=config.run.seed,
        )
        tasks = b"".join(msgspec.json.encode(task) + b"\n" for task in self._next.tasks)
        parts = {"source": self._next.metrics.to_bytes(), "tasks": tasks}
        if self._watching.on:
            parts["flagged"] = self._watching.lines()
        self._hub.report(step + 1, parts, last=False)
        return replace(self._next.batch, prepare_seconds=time.perf_counter() - began)

    def write_state(self, step: int, folder: Path) -> None:
        """Write what belongs to the weights after `step` steps into their checkpoint; `NoRoomError` where a journal
        refuses what must be in it first."""
        snapshot = self._setting.config.checkpoint.snapshot
        try:
            self._done(step)
            self._experience.keep([*self._standing(step), step])
            write_state(
                folder,
                RunState.of(Version(self.lineage, step), self._memory, self._watching.to_state()),
                experience=self._experience.snapshot() if snapshot else None,
                tasks=self._setting.tasks.snapshot() if snapshot else None,
            )
        except JournalError as error:
            raise NoRoomError(errno.ENOSPC, error.what) from error
        run = RunFolder(self._setting.checkpoints.parent)
        for path in (run.config, run.card_path):
            if path.exists():  # else one that somebody took away would end the run as well
                write_bytes(folder / path.name, path.read_bytes())

    def commit(self, step: int) -> None:
        """A checkpoint stands: the books can go back to it, and to the newest of those before it.

        Not to those that `learner.keep_every` spares: what was trained on since the oldest of these would be kept for
        ever. A resume from one of them takes up the snapshots that lie in it. What a full disk does not let go of now
        goes with the next checkpoint.
        """
        with contextlib.suppress(JournalError):
            self._experience.keep(self._standing(step + 1))

    def _standing(self, before: int) -> list[int]:
        """Steps of the checkpoints before this step that the books can go back to; without any, the base weights'."""
        steps = [step for step in complete_steps(self._setting.checkpoints) if step < before]
        return steps[-max(1, self._setting.config.learner.keep_last) :] or [0]

    def _done(self, step: int) -> None:
        """All steps before this one are trained on."""
        if self._next is not None and self._next.batch.step < step:
            self._memory, self._next = self._next.memory, None
        if step > 0:
            self._experience.commit(Version(self.lineage, step - 1))

    def _begun(self, at: Version, act: Callable[[], None]) -> None:
        """One of the things that must be in the books before anything goes on from these weights."""
        self._insist(f"going on from the weights of step {at.step}", act, self._ends)

    def _ends(self) -> bool:
        """Whether the run is to end, so that nothing is worth waiting for; raises what went wrong with publishing."""
        self._check()
        return bool(self._hub.stopping())

    def _wait(self, consumer: Version) -> Batch | None:
        began, say_at, what = self._clock(), SAY_SECONDS, _batch_of(consumer)
        take = partial(self._experience.take, consumer, PIECE_SECONDS)
        lacks = partial(self._experience.lacking, consumer)
        while not (reason := self._hub.stopping()):
            self._check()
            if (batch := self._insist(what, take, self._ends)) is not None:
                return batch
            waited = self._clock() - began
            over = waited >= self._setting.config.run.batch_seconds
            if not (over or waited >= say_at) or not (lacking := self._insist(what, lacks, self._ends)):
                continue
            if over:  # no error: ranks would be restarted for it, and wait as long again
                self._hub.fail(
                    f"no batch for step {consumer.step + 1} within {waited:.0f} s: {lacking}",
                    "look at the logs of proposers and solvers in the run's folder; where nobody is at work, engines "
                    "or the sandbox are stuck; azr train --resume goes on from the newest checkpoint",
                )
                return None
            say_at = 2 * waited
            self._hub.say(f"waiting for {what} for {waited:.0f} s: {lacking}")
        self._hub.say(f"the learner ends at step {consumer.step}: {reason}")
        return None

    def _checkpointed(self, step: int) -> Version:
        """The version of the weights that were loaded; their memory is taken up."""
        if step == 0:
            return Version(0, 0)
        state = read_state(checkpoint_folder(self._setting.checkpoints, step))
        self._memory = state.memory()
        self._watching.restore(state.safety)
        return state.version

    def _restore(self, positions: Sequence[Position], at: Version) -> None:
        """The books cannot go back to these weights: the checkpoint's snapshots take their place.

        The experience is restored last: killed in between, the next start finds it as it was and restores both again.
        """
        why = _why_unreached(positions, at)
        folder = checkpoint_folder(self._setting.checkpoints, at.step)
        experience, tasks = read_snapshot(folder, EXPERIENCE), read_snapshot(folder, TASKS)
        if experience is None or tasks is None:
            raise AzrError(
                f"{why}, and the checkpoint of step {at.step} was written without snapshots",
                "resume from a checkpoint that the journals know; or, where they were lost, bring them back",
            )
        self._hub.say(f"{why}: taking up the snapshots of step {at.step}")
        self._begun(at, partial(self._setting.tasks.restore, tasks))
        self._begun(at, partial(self._experience.restore, experience))

    def _restore_lost_tasks(self, at: Version) -> None:
        """The experience is whole, but shards of the tasks may have lost their journals: the checkpoint's snapshots
        take their place. What these do not hold is given up as nobody can attempt it; what was rated since counts."""
        snapshot = read_snapshot(checkpoint_folder(self._setting.checkpoints, at.step), TASKS)
        if not (lost := self._setting.tasks.lost(snapshot)):
            return
        who = f"the journal of {' and '.join(lost)} is lost, or older than the checkpoint of step {at.step}"
        if snapshot is None:
            raise AzrError(
                f"{who}, which was written without snapshots",
                "bring it back; checkpoints with snapshots (checkpoint.snapshot) outlast such a loss",
            )
        self._hub.say(f"{who}: taking up its snapshot")
        self._begun(at, partial(self._setting.tasks.restore, snapshot, lost))


def _batch_of(consumer: Version) -> str:
    """What is waited for, in words."""
    return f"the batch of step {consumer.step + 1}"


def _why_unreached(positions: Sequence[Position], at: Version) -> str:
    """What keeps the books from going back to the checkpoint of these weights."""
    if (end := min(position.next_step for position in positions)) < at.step:
        return f"the journals end at step {end}"
    if (lineage := min(position.lineage for position in positions)) < at.lineage:
        return f"the journals know lineage {lineage} at most, and weights {at.lineage}.{at.step} are of a later one"
    if all(position.reaches(at) for position in positions):
        return f"the journals are of another branch than weights {at.lineage}.{at.step}, which were gone back behind"
    known = set.intersection(*(set(position.checkpoints) for position in positions))
    return f"the journals do not go back to step {at.step}, only to {', '.join(map(str, sorted(known)))}"


def _is_continued(positions: Sequence[Position], at: Version) -> bool:
    """Whether the books stand exactly where these weights do, so that no later ones made anything.

    All shards must: one that a crash left a step ahead has something to undo, and the others follow its lineage.
    """
    return all(Version(position.lineage, position.next_step) == at for position in positions)


class RunObserver:
    """Sends each step's numbers to the hub."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def on_step(self, step: int, report: StepReport, seconds: dict[str, float]) -> None:
        """A step is done."""
        metrics = Accumulator()
        tell_step(metrics, step, report, seconds)
        self._hub.report(step, {"learner": metrics.to_bytes()}, last=True)

    def on_made_room(self, step: int, gone: list[str]) -> None:
        """The disk is nearly full."""
        self._hub.say(
            f"{', '.join(gone)} had to go: the checkpoint of step {step} did not fit beside (learner.keep_last)"
        )

    def on_no_room(self, step: int, why: str) -> None:
        """The disk is full."""
        self._hub.say(f"no checkpoint at step {step}: {why}; the next one is tried at its time")

    def on_lost(self, step: int, saved: int, why: str) -> None:
        """The run ends by this, and not by ranks that go back to an older checkpoint and find that all is done."""
        at = f"the checkpoint of step {saved}" if saved else "the start"
        lost = f"{why}; steps {saved + 1} to {step} are lost"
        self._hub.fail(lost, f"make room; azr train --resume goes on from {at}")
