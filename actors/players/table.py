"""What every player sits at: the services, the engines, the sandbox, the tokenizer and the rules of one run."""

from __future__ import annotations

from dataclasses import dataclass
from logging import Logger

from actors.players.generating import Generator
from actors.players.judge import Judge
from actors.players.tally import PlayerTally
from actors.players.tokens import Tokens
from actors.services.for_players import PlayerExperience, PlayerTasks
from azr.config.root import Config


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
