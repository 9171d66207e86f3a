"""What every player sits at: the services, the engines, the sandbox, the tokenizer and the rules of one run."""

from __future__ import annotations

from dataclasses import dataclass
from logging import Logger

from actors.engine.records import Generation
from actors.players.generating import Generator, PoisonedError, generated, request_of
from actors.players.judge import JUDGE_FAILED, Judge, JudgingError
from actors.players.seeds import seed_of
from actors.players.tally import PlayerTally
from actors.players.tokens import Tokens
from actors.services.for_players import PlayerExperience, PlayerTasks
from azr.config.root import Config
from azr.game.reasons import clean
from azr.game.types import Cell
from azr.ledger.book import POISONED


@dataclass(frozen=True)
class Table:
    """The parts that a proposer or solver puts together; each is tested with its own."""

    config: Config
    experience: PlayerExperience
    tasks: PlayerTasks
    engines: Generator
    judge: Judge
    tokens: Tokens
    tally: PlayerTally
    logger: Logger
    held_out: frozenset[str] = frozenset()
    """Normal forms of programs that may not be proposed, because evaluation asks about them."""

    async def generate(
        self, group: str, prompt: tuple[int, ...], samples: int, heat: float
    ) -> Generation | PoisonedError:
        """A group's responses to a prompt at temperature `heat`, seeded by its name; or why there are none, which is
        logged and counted."""
        config = self.config
        seed, longest = seed_of(config.run.seed, group), config.lengths.response
        request = request_of(group, prompt, samples, seed, longest, config.algorithm.sampling, heat)
        try:
            with self.tally.part("generate"):
                return await generated(
                    self.engines,
                    request,
                    seconds=config.actors.generate_seconds,
                    tries=config.actors.generate_tries,
                    failed=lambda error: self.tally.failed(type(error).__name__),
                )
        except PoisonedError as error:
            self.logger.warning("%s", clean(str(error)))
            self.tally.failed(POISONED)
            return error

    async def not_judged(self, group: str, wasted: tuple[Cell, int, int], error: JudgingError) -> None:
        """A task type's own code failed at what was sampled, and would again: logged, dropped, tokens counted."""
        self.logger.error("%s cannot be judged: %s", group, clean(str(error)))
        self.tally.failed(JUDGE_FAILED)
        await self.experience.drop(group, JUDGE_FAILED, [wasted])
