"""The training loop of one rank: take a batch, step, publish, checkpoint, report.

Owns the order of these and resumption. Called on every rank by `learner.ray_train`, or directly in a single process.
Where batches come from and where weights, metrics go is handed in, so that the loop is whole without any actor.

    source.begin(step) ──► weights it begins with ──► publisher ──► source.ready
    source.take(step) ──► trainer.step ──► publisher ──► checkpoint? ──► source.commit ──► observer.on_step
        rank 0, which tells the others         rank 0          all ranks       rank 0            rank 0
                                                                └ source.write_state, before the marker

Who waits: rank 0, for the source, as long as the source's own deadlines allow; the other ranks, for rank 0, which tells
them every `BEAT_SECONDS` that it still waits.

Rank 0 alone says which checkpoint a loop begins with: on a shared file system each rank might find another newest.

Older checkpoints but the newest go where a new one has no room. One that has none all the same is told and left out:
the next may fit. The last one of a loop is tried for `LAST_SECONDS`, since what it would hold is kept nowhere else.

The weights a loop begins with are published before any batch is asked for: after a resume, or a restart of the ranks,
the engines hold weights that the learner may no longer have, and no batch of the new lineage exists until they change.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

import torch
import torch.distributed as dist

from azr.config.sections.algorithm import LossConfig, OptimiserConfig
from azr.config.sections.learner import LearnerConfig
from azr.config.sections.weights import WeightsConfig
from azr.tokens import tokenizer_digest
from learner import checkpoint
from learner.attention.registry import fitting
from learner.policy import load_policy
from learner.samples import StepBatch
from learner.sharding import compute_dtype
from learner.trainer import StepReport, Trainer
from learner.weights import Publisher, Weights, whole_weights

#: What handing a version on may take beside the engines' own update: its commit, and the registry's answers.
ASIDE_SECONDS = 60.0
#: How long somebody has to make room for the last checkpoint, and the time between two tries.
LAST_SECONDS, TRY_SECONDS = 600.0, 10.0
#: How often the other ranks hear that the first still waits. Collectives have a deadline of their own (Ray Train's half
#: an hour) that names nobody; it is for ranks that are lost, and no wait for players or a batch may come near it.
BEAT_SECONDS = 60.0

Result = TypeVar("Result")


class BatchSource(Protocol):
    """Where batches come from. Lives on rank 0."""

    def begin(self, step: int) -> None:
        """The weights after `step` steps are loaded, and what came after them never happened. Called once, first."""
        ...

    def ready(self, check: Callable[[], None]) -> None:
        """Wait until batches are being made at all. Called once, when the first weights are handed over; what is waited
        for here is not counted as waiting for data.

        `check` raises what has gone wrong with publishing: whoever waits, here or for a batch, would wait in vain for
        engines that never get the weights, and calls it every now and then.
        """
        ...

    def take(self, step: int) -> StepBatch | None:
        """The batch of this step, waiting for it no longer than the source's own deadline; None ends the run.

        After a resume, a step that no committed checkpoint covers is asked for again.
        """
        ...

    def write_state(self, step: int, folder: Path) -> None:
        """Write what belongs to the weights after `step` steps into their checkpoint, which is not yet complete."""
        ...

    def commit(self, step: int) -> None:
        """A checkpoint holds the weights after `step` steps: no batch before it will be asked for again."""
        ...


class Observer(Protocol):
    """Told of each step. Lives on rank 0."""

    def on_step(self, step: int, report: StepReport, seconds: dict[str, float]) -> None:
        """A step is done; `seconds` by phase: wait, step, publish, checkpoint."""
        ...

    def on_made_room(self, step: int, gone: list[str]) -> None:
        """Older checkpoints that were to be kept went, for this step's did not fit beside them."""
        ...

    def on_no_room(self, step: int, why: str) -> None:
        """The checkpoint of this step did not fit and is left out."""
        ...

    def on_lost(self, step: int, saved: int, why: str) -> None:
        """The last checkpoint never fitted: what was learned after step `saved` is lost, and this rank about to fail.
        Ranks that took its place would go back there, and end well."""
        ...


@dataclass(frozen=True)
class LearnerPlan:
    """All that a rank needs; picklable, so that it can travel to it. Factories make what cannot."""

    model: str
    loss: LossConfig
    optimiser: OptimiserConfig
    learner: LearnerConfig
    folder: Path
    steps: int
    make_source: Callable[[], BatchSource]
    make_observer: Callable[[], Observer] | None = None
    make_publish: Callable[[], Callable[[int, Weights], None]] | None = None
    publish_every: int = 1
    """Steps from one publication to the next; the weights a loop ends with are published in any case."""
    publish_dtype: str = ""
    """What the engines compute in; empty: the weights are published as they are."""
    publish_seconds: float = WeightsConfig.publish_seconds
    """How long the engines may take to confirm a version, as configured."""
    temperature: float = 1.0
    caches_kept: bool = False
    """Whether engines go on with old keys and values when weights change."""
    seed: int = 0
    random_weights: bool = False
    plain_tokens: tuple[str, ...] = ()
    """Added tokens that were spelled as text, for checkpoints to say where no configuration does (`azr sft`)."""
    gpu: bool = False
    """Whether ranks under Ray Train have GPUs; whoever makes the plan knows."""

    @property
    def checkpoints(self) -> Path:
        """Where checkpoints lie."""
        return self.folder / "checkpoints"

    @property
    def publish_deadline(self) -> float:
        """How long the end of a loop waits: for the version that is on its way, and for one more that waits. Each may
        take half as long again as `weights.publish_seconds`, where storing it took all of that."""
        return 3 * self.publish_seconds + ASIDE_SECONDS

    @property
    def lora_scale(self) -> float:
        """What adapters' updates are multiplied by; 0 without adapters."""
        lora = self.learner.lora
        return lora.alpha / lora.rank if lora.rank else 0.0


def make_trainer(plan: LearnerPlan, device: torch.device) -> Trainer:
    """The plan's policy and optimiser on this rank. Random weights are those of the seed, alike on all ranks."""
    torch.manual_seed(plan.seed)
    attention = fitting(plan.learner.attention, device, compute_dtype(plan.learner, device))
    policy = load_policy(plan.model, attention=attention, random_weights=plan.random_weights)
    return Trainer(
        policy,
        plan.loss,
        plan.optimiser,
        plan.learner,
        device=device,
        temperature=plan.temperature,
        seed=plan.seed,
        caches_kept=plan.caches_kept,
    )


def run(
    plan: LearnerPlan, device: torch.device, on_report: Callable[[int, StepReport], None] = lambda _step, _report: None
) -> None:
    """Train from the newest checkpoint, or from the start, until the plan's steps are done or the source ends.

    `make_publish`'s function is called with the step at which the loop begins first (0, or the checkpoint's), and then
    after every `publish_every` steps and at the end; while it is busy, newer weights take the place of those that wait.

    `on_report` is called on every rank after each step (Ray Train wants to hear from all).
    """
    trainer = make_trainer(plan, device)
    first = trainer.ranks.rank == 0
    found = _of_first(partial(checkpoint.newest, plan.checkpoints) if first else None, trainer)
    if found is not None and not first:
        checkpoint.wait_until_shown(found, trainer.ranks.rank)
    saved = step = checkpoint.load(found, trainer).step if found is not None else 0
    source = plan.make_source() if first else None
    _of_first(partial(source.begin, step) if source else None, trainer)
    observer = plan.make_observer() if first and plan.make_observer else None
    publisher = None
    if first and plan.make_publish:
        publisher = Publisher(plan.make_publish(), deadline=plan.publish_deadline)
    _publish(plan, trainer, step, publisher)
    published = step
    if step < plan.steps:
        check = publisher.check if publisher else _nothing
        _of_first(partial(source.ready, check) if source else None, trainer)
    while step < plan.steps:
        clock = _Clock()
        batch = _of_first(partial(source.take, step) if source else None, trainer)
        clock.mark("wait")
        if batch is None:
            break
        clock.split("wait", "prepare", batch.prepare_seconds)
        report = trainer.step(batch)
        step += 1
        clock.mark("step")
        if step - published == plan.publish_every:
            _publish(plan, trainer, step, publisher)
            published = step
        clock.mark("publish")
        if step % plan.learner.checkpoint_every == 0 or step == plan.steps:
            saved = saved if _save(plan, trainer, step, source, observer) else step
        clock.mark("checkpoint")
        if observer:
            observer.on_step(step, report, clock.seconds)
        on_report(step, report)
    if published < step:
        _publish(plan, trainer, step, publisher)
    _save_last(plan, trainer, step, saved, source, observer)
    if publisher:
        publisher.close()


def _nothing() -> None:
    """Nobody publishes."""


def _publish(plan: LearnerPlan, trainer: Trainer, step: int, publisher: Publisher | None) -> None:
    """Gather the weights on all ranks and hand them over on the first; nothing is gathered that nobody wants."""
    if not plan.make_publish:
        return
    weights = whole_weights(trainer.policy, lora_scale=plan.lora_scale, dtype=plan.publish_dtype)
    if publisher:
        publisher.offer(step, weights)


def _save_last(
    plan: LearnerPlan, trainer: Trainer, step: int, saved: int, source: BatchSource | None, observer: Observer | None
) -> None:
    """Keep the last weights, unless they are kept; all ranks try equally often, so that they give up together."""
    tries = max(1, round(LAST_SECONDS / TRY_SECONDS))
    lacking = ""
    for number in range(tries):
        if saved == step or not (lacking := _save(plan, trainer, step, source, observer if number == 0 else None)):
            return
        time.sleep(TRY_SECONDS)
    why = f"there was no room for the last checkpoint (step {step}) for {LAST_SECONDS:.0f} s: {lacking}"
    if observer:
        observer.on_lost(step, saved, why)
    raise checkpoint.NoRoomError(errno.ENOSPC, why)


def _save(plan: LearnerPlan, trainer: Trainer, step: int, source: BatchSource | None, observer: Observer | None) -> str:
    """Write a checkpoint; the answer says why it did not fit, and is empty if it did.

    Where it does not, all but the newest of those before it go, and it is tried once more: without, a disk with room
    for fewer than are to be kept would take no checkpoint any more.
    """
    digest = tokenizer_digest(plan.model)
    state = checkpoint.LearnerState(
        step, trainer.updates, plan.model, plan.lora_scale, digest, plain_tokens=plan.plain_tokens
    )
    companions = partial(source.write_state, step) if source else None
    try:
        checkpoint.save(plan.checkpoints, trainer, state, companions=companions)
    except checkpoint.NoRoomError:
        if trainer.ranks.rank == 0:
            gone = checkpoint.prune(plan.checkpoints, keep_last=1, keep_every=plan.learner.keep_every)
            if gone and observer:
                observer.on_made_room(step, [folder.name for folder in gone])
        try:
            checkpoint.save(plan.checkpoints, trainer, state, companions=companions)
        except checkpoint.NoRoomError as error:
            lacking = error.strerror or str(error)
            if observer:
                observer.on_no_room(step, lacking)
            return lacking
    if trainer.ranks.rank == 0:
        checkpoint.prune(plan.checkpoints, keep_last=plan.learner.keep_last, keep_every=plan.learner.keep_every)
    if source:
        source.commit(step)
    return ""


def _of_first(wait: Callable[[], Result] | None, trainer: Trainer) -> Result:
    """What a wait on the first rank brings, on every rank; the first alone has one."""
    if trainer.ranks.count == 1:
        assert wait is not None
        return wait()
    apart = ThreadPoolExecutor(1)
    try:
        waiting = apart.submit(wait) if wait else None
        while True:
            # Empty while nothing is there yet: None is an answer, that the run ends.
            box: list[tuple[Result, ...]] = [()]
            if waiting and wait_for([waiting], BEAT_SECONDS).done:
                box = [(waiting.result(),)]
            dist.broadcast_object_list(box, src=0)
            if box[0]:
                return box[0][0]
    finally:
        apart.shutdown(wait=False)


class _Clock:
    """Seconds by phase of one step."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def mark(self, phase: str) -> None:
        """The phase that ends now."""
        now = time.perf_counter()
        self.seconds[phase] = now - self._last
        self._last = now

    def split(self, phase: str, other: str, seconds: float) -> None:
        """So much of a phase that has ended was another."""
        self.seconds[other] = min(seconds, self.seconds[phase])
        self.seconds[phase] -= self.seconds[other]
