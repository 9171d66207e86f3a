"""A proposer's piece of work: from an admitted proposal to its acknowledgement.

      references ─► prompt ─► engine ─► parse, gate (sandbox) ─► task service: new? ─► experience: judged
                                 └─✕ poisoned    └─ undecided, ✕ judge_failed ──────► experience: dropped, counted

A task enters the buffers before its proposal is acknowledged. A proposer that dies in between leaves a task that
nobody rates; it comes back to be drawn like any other (see `azr.buffers`).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import msgspec

from actors.players.asking import References, draw_ask, sources_of
from actors.players.generating import PoisonedError, trajectory_of
from actors.players.judge import JudgingError
from actors.players.seeds import generator_of
from actors.players.table import Table
from azr.game import play
from azr.game.composing import Composition, compose_proposal
from azr.game.gate import GateRules
from azr.game.reasons import STUMBLES, clean
from azr.game.rewards.proposer import asks_for_facts
from azr.game.tasks import TaskType, task_type
from azr.game.types import Cell, Proposal, Refusal, Task, Trajectory
from azr.game.wire import encode
from azr.ledger.book import POISONED
from azr.ledger.ledger import Sample
from azr.ledger.work import ToPropose
from sandbox_wasm.protocol import Facts

#: Why a proposal is dropped for which nothing known could be shown.
NO_REFERENCES = "no_references"
#: What the task service says of a task that is held already; the gate's own word.
DUPLICATE = "duplicate"
#: Reason of a proposal that was cut off at the length limit: never finished, whatever it holds.
TRUNCATED = "truncated"
ACCEPTED = "accepted"


class Proposer:
    """Makes proposals."""

    def __init__(self, table: Table) -> None:
        self.table = table
        config = table.config
        self._rules = GateRules.of(
            config,
            length=table.tokens.length,
            prompt_length=self._solver_prompt_length,
            reads_back=lambda task: play.reads_back(task, task_type(task.task_type), table.tokens.frame),
            control_texts=table.tokens.control_texts,
            held_out=table.held_out,
        )
        self._game = config.algorithm.game
        self._turn = 0
        self._references = References(self._fetch, config.actors.reference_pool, self._not_fetched)

    async def play(self, work: ToPropose) -> bool:
        """Do one piece of work; False when it was dropped before anything was sampled."""
        table, config = self.table, self.table.config
        kind, cell = task_type(work.task_type), Cell(work.task_type, "propose")
        composition = await self._compose(kind, work.group)
        if composition is None:
            await table.experience.drop(work.group, NO_REFERENCES)
            return False
        prompt = table.tokens.encode(composition.prompt)
        generation = await table.generate(work.group, prompt, 1, config.algorithm.sampling.temperature)
        if isinstance(generation, PoisonedError):
            await table.experience.drop(work.group, POISONED)
            return False
        (response,) = generation.responses
        name = f"{work.group}#0"
        trajectory = trajectory_of(name, work.group, cell, prompt, response)
        made = (cell, 1, len(response.token_ids))
        try:
            with table.tally.part("judge"):
                outcome, retried = await self._judge(kind, response.text, composition, response.truncated)
                facts = await self._facts(outcome, composition) if isinstance(outcome, Task) else ()
        except JudgingError as error:
            await table.not_judged(work.group, made, error)
            return True
        if facts is None:
            outcome = Refusal("retry")
        if isinstance(outcome, Refusal) and outcome.reason in STUMBLES:
            table.tally.failed(outcome.reason)
            await table.experience.drop(work.group, outcome.reason, [made])
            return True
        with table.tally.part("book"):
            proposal, address = await self._enter(outcome, trajectory, composition, facts or ())
            await table.experience.judged(Sample.of(trajectory, body=encode(proposal)), address)
        table.tally.proposed(proposal, retried)
        return True

    async def _compose(self, kind: TaskType, group: str) -> Composition | None:
        """A prompt that fits; None when there is nothing to show to a proposer that must be shown something."""
        config = self.table.config
        random = generator_of(config.run.seed, group, "references")
        shown = max(self._game.references, kind.least_references)
        pool = await self._references.pool(sources_of(kind, self._game.task_types), shown) if shown else []
        if len(pool) < kind.least_references:
            return None
        composition = compose_proposal(
            kind,
            self.table.tokens.frame,
            lambda count: draw_ask(kind, pool, count, self._rules.induction_inputs, random),
            references=shown,
            length=self.table.tokens.length,
            limit=config.lengths.content,
        )
        # Of what is known, nothing may be fit to build on.
        return composition if composition.ask.components or kind.name != "composite" else None

    async def _judge(
        self, kind: TaskType, text: str, composition: Composition, truncated: bool
    ) -> tuple[Task | Refusal, int]:
        if truncated:
            return Refusal(TRUNCATED), 0
        plan = functools.partial(play.judge_proposal, kind, text, composition.ask, self.table.tokens.frame, self._rules)
        return await self.table.judge.decide(
            plan, lambda outcome: not isinstance(outcome, Task) and outcome.reason in STUMBLES
        )

    async def _enter(
        self, outcome: Task | Refusal, trajectory: Trajectory, composition: Composition, facts: tuple[Facts, ...]
    ) -> tuple[Proposal, str | None]:
        """The proposal as it is kept, and the address of its task when that is new."""
        if isinstance(outcome, Refusal):
            return Proposal(trajectory=trajectory, task=None, reason=outcome.reason, detail=outcome.detail), None
        task = msgspec.structs.replace(
            outcome,
            born=trajectory.oldest_version,
            references=tuple(known.id for known in composition.ask.references),
        )
        if not await self.table.tasks.add(task, out=self.table.config.algorithm.rating.trained):
            return Proposal(trajectory=trajectory, task=None, reason=DUPLICATE, detail=task.fingerprint), None
        proposal = Proposal(
            trajectory=trajectory, task=task, reason=ACCEPTED, facts=facts[0] if facts else None, shown=facts[1:]
        )
        return proposal, self.table.tasks.address(task)

    async def _facts(self, task: Task, composition: Composition) -> tuple[Facts, ...] | None:
        """Of the task's program and of those that were shown, where the reward has a term that may ask for them; None
        when the sandbox stumbled."""
        if not asks_for_facts(self.table.config.algorithm.proposer_reward):
            return ()
        programs = [task.program, *(known.program for known in composition.ask.references)]
        facts, _ = await self.table.judge.decide(
            functools.partial(play.facts_of_all, programs), lambda found: len(found) < len(programs)
        )
        return facts if len(facts) == len(programs) else None

    def _solver_prompt_length(self, task: Task) -> int:
        tokens = self.table.tokens
        return tokens.length(play.solve_prompt(task, task_type(task.task_type), tokens.frame))

    async def _fetch(self, sources: Sequence[str], count: int) -> list[Task]:
        self._turn += 1
        return await self.table.tasks.references(sources, count, self._turn % len(self.table.tasks.shards))

    def _not_fetched(self, error: Exception) -> None:
        self.table.tally.failed(type(error).__name__)
        self.table.logger.warning("references could not be fetched, old ones serve on: %s", clean(repr(error)))
