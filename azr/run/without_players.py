"""What the driver asks of the engines itself, while nobody plays: held-out tasks before and after training, and seeds.

Owned by `azr.run.driver`, which says how the engines and the learner are watched meanwhile. How tasks are asked and
seeds are made is in `azr.run.evaluation` and `azr.run.seeds`; here are their stages, their sandbox, and what is kept.

    stage (cluster.work_seconds) ── work in a loop of its own ──► rows ─► evaluations.jsonl, trackers
      └── every quarter second ── look: signals, Ray, learner, engines └► seeds ─► seeds.jsonl, task buffers
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from actors.players.judge import SandboxUselessError, open_tried_pool
from actors.players.tokens import Tokens
from actors.rollout.errors import RolloutError
from actors.services.task_client import TaskClient
from azr.config.root import Config
from azr.errors import AzrError
from azr.game.types import Task
from azr.metrics import Accumulator
from azr.run import evaluation, seeds
from azr.run.engines import Engines
from azr.run.evaluation import Evaluation
from azr.run.folder import RunFolder
from azr.run.stages import WORK, Stage, Stages, StageTimeoutError
from azr.run.stopping import watched
from azr.run.supervision import PartLostError
from azr.run.tracking import TrackingBoard
from azr.text import shortened
from azr.tiny.evaluation import Row, UndecidedError
from sandbox_wasm.cores import available_cores
from sandbox_wasm.dispatcher import SandboxError
from sandbox_wasm.pool import SandboxPool
from sandbox_wasm.protocol import Sandbox

#: What an evaluation may fail of without the run, whose training is over.
_UNEVALUATED = (
    RolloutError,
    StageTimeoutError,
    PartLostError,
    SandboxError,
    SandboxUselessError,
    UndecidedError,
    evaluation.OldWeightsError,
    OSError,
)

Result = TypeVar("Result")
Watch = Callable[[Stage], AbstractContextManager[Callable[[], float]]]
"""Within it, what is looked at during a stage's work: raises what the work must end for."""


class WithoutPlayers:
    """Evaluation and seeding by one driver's engines."""

    def __init__(
        self,
        config: Config,
        folder: RunFolder,
        stages: Stages,
        say: Callable[[str], None],
        *,
        engines: Engines,
        tokens: Tokens,
        tracking: TrackingBoard,
        watch: Watch,
    ) -> None:
        self._config, self._folder, self._stages, self._say = config, folder, stages, say
        self._engines, self._tokens, self._tracking, self._watch = engines, tokens, tracking, watch

    def evaluate(self, when: str, step: int) -> None:
        """Ask the held-out tasks of the weights of this step; keep and track the answers."""
        config = self._config.evaluation
        if config.suite == "none":
            return
        with self._stage(f"evaluation {when}", f"answers to {config.tasks} tasks of each type") as stage:
            began = time.monotonic()

            async def ask(sandbox: Sandbox) -> list[Row]:
                async with self._engines.client() as client:
                    respond = evaluation.responder(
                        client,
                        self._tokens.encode,
                        tag=f"eval-{step}",
                        deadline=stage.remaining(),
                        seed=self._config.run.seed,
                        longest=self._config.lengths.response,
                        step=step,
                    )
                    return await evaluation.evaluate(respond, sandbox, config, self._tokens.frame, stage.now)

            rows = self._carried_out(ask, stage)
            done = Evaluation(step=step, seconds=time.monotonic() - began, rows=rows)
            self.keep(done)
            metrics = Accumulator()
            evaluation.tell(metrics, done)
            metrics.add("time/evaluation", done.seconds)
            self._tracking.metrics(step, metrics.report())

    def evaluate_first(self) -> None:
        """The evaluation before training. One that a busy machine could not judge is left out, and the run goes on."""
        try:
            self.evaluate("before", 0)
        except UndecidedError as error:
            self._say(f"the weights before training are not evaluated: {error.what}")

    def evaluate_last(self, step: int) -> str:
        """The evaluation after training; answers why the weights remain unevaluated. They are saved by then: engines
        that do not answer, or too late, or that are gone for good, and a sandbox that cannot be had fail no run."""
        try:
            self.evaluate("after", step)
        except _UNEVALUATED as error:
            said = error.what if isinstance(error, AzrError) else f"{type(error).__name__}: {error}"
            why, asked = shortened(said, 300), self._config.evaluation
            again = f"azr eval {self._folder.root} --tasks {asked.tasks} --samples {asked.samples} asks the same tasks"
            self._say(f"the weights of step {step} are not evaluated: {why}\n  mend: {again}")
            return why
        return ""

    def keep(self, done: Evaluation) -> None:
        """A disk that is full by then takes the last evaluation, and not the run with it."""
        try:
            evaluation.keep(self._folder.evaluations, done)
        except OSError as error:
            self._say(f"{self._folder.evaluations} cannot be written ({error.strerror}); the run goes on without")

    def seed(self, tasks: TaskClient) -> None:
        """Put the run's first tasks into the buffers: those that are given, or made now by the model itself."""
        config = self._config
        if (chosen := seeds.given_seeds(config, self._folder)) is None:
            with self._stage("seeds", "the model's first tasks") as stage:

                async def make(sandbox: Sandbox) -> list[Task]:
                    async with self._engines.client() as client:
                        state = await seeds.make_seeds(
                            config,
                            client,
                            self._tokens,
                            sandbox,
                            stage.now,
                            path=self._folder.seeds,
                            warn=self._say,
                        )
                    return seeds.seed_tasks(state, config)

                chosen = self._carried_out(make, stage)
        elif not self._folder.seeds.exists():  # they are another's, and may be for other lengths
            chosen = seeds.fitting(chosen, config, self._tokens, self._say)
        if not self._folder.seeds.exists():
            seeds.write_seeds(self._folder.seeds, chosen)
        if new := sum(tasks.add_many(chosen)):
            self._say(f"{new} seed tasks in the buffers")

    def sandbox(self) -> SandboxPool:
        """A pool for the driver's own judging, while nobody else runs programs."""
        config = self._config.sandbox
        return open_tried_pool(config, config.workers or available_cores())

    def _stage(self, name: str, waits_for: str) -> AbstractContextManager[Stage]:
        return self._stages.stage(name, waits_for, self._config.cluster.work_seconds, WORK)

    def _carried_out(self, work: Callable[[Sandbox], Coroutine[Any, Any, Result]], stage: Stage) -> Result:
        """What the work answers, with a sandbox, as long as there is something to wait for."""
        with self.sandbox() as sandbox, self._watch(stage) as look:
            return asyncio.run(watched(work(sandbox), look))
