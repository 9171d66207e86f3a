"""Names in a configuration that only the game can know: task types, and reward terms with those of plug-ins.

`azr.config` checks what it can without importing the game; whoever starts something from a configuration (every
command, through `azr.cli.config.config_of`) asks here as well, so that a mistyped name is told before anything runs.
"""

from __future__ import annotations

from collections.abc import Iterable

from azr.config.root import Config
from azr.config.rules import Problem
from azr.errors import ConfigError
from azr.game import tasks
from azr.game.rewards.registry import GROUP, term_names
from azr.names import did_you_mean


def unknown_names(config: Config) -> list[Problem]:
    """Task types and reward terms that nobody has registered, each with the nearest name that somebody has."""
    types, terms = config.algorithm.game.task_types, config.algorithm.proposer_reward.terms
    choose = f"choose from {', '.join(tasks.names())}"
    declare = f"a term of your own is an entry point in the group {GROUP!r}"
    return [
        *_unknown("algorithm.game.task_types", "task type", types, tasks.names(), choose),
        *_unknown("algorithm.proposer_reward.terms", "reward term", terms, term_names(), declare),
    ]


def check(config: Config) -> Config:
    """The configuration as it is, or a `ConfigError` that names everything unknown in it."""
    if found := unknown_names(config):
        raise ConfigError("\n".join(map(str, found)), "change the keys named; azr config reference explains each")
    return config


def _unknown(key: str, noun: str, given: Iterable[str], known: Iterable[str], mend: str) -> list[Problem]:
    known = tuple(known)
    return [
        Problem(key, f"no {noun} is called {name!r}; {did_you_mean(name, known)}", mend)
        for name in given
        if name not in known
    ]
