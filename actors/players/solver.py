"""A solver's piece of work: all attempts at one task, from the task to its rating.

      rating, retry:  address ─► task ─┐                                             ┌─► experience: attempted ─► rated?
      replay:  draw ─► open the group ─┴─► prompt ─► engine (n samples) ─► verify ───┤                             │
                 └─ none: dry · refused: given back    └─✕ lost, then poisoned       └─ undecided, ✕ judge_failed: ▼
                                                                                dropped, tokens counted     task service

The attempts of a group are one request: the prompt is prefilled once, and they are judged and acknowledged together. A
group of which some attempts are known already is sampled whole again, with the same seeds, and only what is missing
enters; the rest counts as wasted.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence

from actors.engine.records import Response
from actors.players.generating import PoisonedError, trajectory_of
from actors.players.judge import JudgingError
from actors.players.table import Table
from azr.game import play
from azr.game.plan import Plan
from azr.game.reasons import STUMBLES, UNDECIDED
from azr.game.rewards import solver_reward
from azr.game.tasks import TaskType, task_type
from azr.game.types import Attempt, Cell, Task, Verdict
from azr.game.verification import VerifyRules
from azr.game.wire import encode
from azr.journal.journal import JournalError
from azr.ledger.book import AGAIN
from azr.ledger.ledger import Sample
from azr.ledger.work import ToAttempt, ToReplay

#: Reason of a group whose task left the buffers before it was attempted.
TASK_GONE = "task_gone"

#: How long a type of which nothing could be drawn is not asked for.
DRY_SECONDS = 0.5

_Judged = tuple[Response, Verdict]


class Solver:
    """Makes groups of attempts."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self._rules = VerifyRules.of(table.config)
        self._dry: dict[str, float] = {}
        self._turn = 0

    def dry(self) -> list[str]:
        """Types of which there was nothing to draw a moment ago."""
        now = time.monotonic()
        self._dry = {kind: until for kind, until in self._dry.items() if until > now}
        return list(self._dry)

    async def play(self, work: ToAttempt | ToReplay) -> bool:
        """Do one piece of work; False when it was dropped, or lost, before anything was sampled."""
        if isinstance(work, ToReplay):
            return await self._replay(work)
        group = work.group
        task = await self.table.tasks.fetch(group.task_type, group.task)
        if task is None:
            self.table.tally.failed(TASK_GONE)
            await self.table.experience.drop(group.id, TASK_GONE)
            return False
        rating = group.kind == "rating"
        return await self._attempt(group.id, group.size, group.awaited, task, rating=rating, tries=group.tries)

    async def _replay(self, work: ToReplay) -> bool:
        """Draw a task and open its group, if there is one and it may begin; else other work may be done at once."""
        table = self.table
        self._turn += 1
        task = await table.tasks.draw(work.task_type, self._turn % len(table.tasks.shards))
        if task is None:
            self._dry[work.task_type] = time.monotonic() + DRY_SECONDS
            return True
        address = table.tasks.address(task)
        try:
            refusal = await table.experience.replay(work.group, work.task_type, address)
        except JournalError:  # its disk is full: tried until there is room, this would draw every task there is
            await table.tasks.give_back(task)
            raise
        if refusal is not None:
            await table.tasks.give_back(task)
            return True
        size = table.config.algorithm.batch.attempts_per_task
        return await self._attempt(work.group, size, _names(work.group, size), task, rating=False)

    async def _attempt(
        self, group: str, size: int, awaited: list[str], task: Task, *, rating: bool, tries: int = 0
    ) -> bool:
        if not awaited:
            return True
        table, config = self.table, self.table.config
        kind, cell = task_type(task.task_type), Cell(task.task_type, "solve")
        prompt = table.tokens.encode(play.solve_prompt(task, kind, table.tokens.frame))
        algorithm = config.algorithm
        heat = algorithm.rating.temperature if rating else algorithm.sampling.temperature
        generation = await table.generate(group, prompt, size, heat)
        if isinstance(generation, PoisonedError):
            await table.experience.lost(group, tries)
            if generation.blames_request and tries + 1 >= config.staleness.max_tries:
                await table.tasks.let_go(task)
            return False
        try:
            with table.tally.part("judge"):
                judged = await self._judge_all(kind, task, generation.responses)
        except JudgingError as error:
            tokens = sum(len(response.token_ids) for response in generation.responses)
            await table.not_judged(group, (cell, len(generation.responses), tokens), error)
            await table.tasks.let_go(task)
            return True
        if (reason := _undecided(judged)) is not None:
            table.tally.failed(reason)
            tokens = sum(len(response.token_ids) for response, _ in judged)
            await table.experience.drop(group, reason, [(cell, len(judged), tokens)])
            if reason not in STUMBLES:
                await table.tasks.let_go(task)
            return True
        with table.tally.part("book"):
            await self._enter(group, cell, task, prompt, dict(zip(_names(group, size), judged, strict=True)), awaited)
        table.tally.group_done()
        return True

    async def _judge_all(self, kind: TaskType, task: Task, responses: Sequence[Response]) -> list[_Judged]:
        """Each response with its verdict. Equal responses to one task are judged once: a verdict depends on nothing
        else, and a solver that knows the answer says it eight times."""
        firsts: dict[tuple[str, bool], Response] = {}
        for response in responses:
            firsts.setdefault((response.text, response.truncated), response)
        found = await self.table.judge.decide_all(
            [self._plan(kind, task, response) for response in firsts.values()],
            lambda verdict: verdict.reason in UNDECIDED,
        )
        verdicts = dict(zip(firsts, found, strict=True))
        judged = []
        for response in responses:
            verdict, retried = verdicts[response.text, response.truncated]
            judged.append((response, verdict))
            if verdict.reason not in UNDECIDED:
                self.table.tally.attempted(Cell(task.task_type, "solve"), verdict, response.truncated, retried)
        return judged

    def _plan(self, kind: TaskType, task: Task, response: Response) -> Callable[[], Plan[Verdict]]:
        """How this response is judged."""
        return functools.partial(
            play.judge_attempt,
            kind,
            task,
            response.text,
            self.table.tokens.frame,
            self._rules,
            truncated=response.truncated,
        )

    async def _enter(
        self, group: str, cell: Cell, task: Task, prompt: tuple[int, ...], made: dict[str, _Judged], awaited: list[str]
    ) -> None:
        """Acknowledge what was awaited, and tell the task buffers what the whole group says."""
        table, config = self.table, self.table.config
        samples = []
        for name in awaited:
            response, verdict = made.pop(name)
            reward = solver_reward(verdict, truncated=response.truncated, config=config.algorithm.solver_reward)
            trajectory = trajectory_of(name, group, cell, prompt, response, reward)
            body = encode(Attempt(trajectory=trajectory, task_id=task.id, verdict=verdict))
            samples.append(Sample.of(trajectory, correct=verdict.correct, body=body))
        tokens = sum(len(response.token_ids) for response, _ in made.values())
        rated = await table.experience.attempted(samples, (cell, len(made), tokens, AGAIN) if made else None)
        for _, rating in rated:
            await table.tasks.rate(task.task_type, table.tasks.address(task), group, rating)


def _names(group: str, size: int) -> list[str]:
    return [f"{group}#{index}" for index in range(size)]


def _undecided(judged: list[_Judged]) -> str | None:
    """Why nothing can be said about a group: an attempt was not decided, and a group is judged whole or not at all."""
    return next((verdict.reason for _, verdict in judged if verdict.reason in UNDECIDED), None)
