"""What in a configuration only the game can know: task types, reward terms with those of plug-ins, and what terms and
sandbox back ends take as options.

`azr.config` checks what it can without importing the game; whoever starts something from a configuration (every
command, through `azr.cli.config.config_of`) asks here as well, so that a mistyped name is told before anything runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from azr.config.root import Config
from azr.config.rules import Problem
from azr.errors import ConfigError
from azr.game import tasks
from azr.game.rewards.registry import GROUP, make_term, term_names
from azr.names import did_you_mean
from sandbox_wasm.registry import (
    BUILT_IN,
    BackendConfigurationError,
    UnknownBackendError,
    check_options,
    find_backend,
    make_backend,
)


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
    """The configuration as it is, or a `ConfigError` that names everything in it that is unknown or not taken."""
    if found := [*map(str, unknown_names(config)), *_refused_terms(config), *map(str, _refused_sandbox(config))]:
        raise ConfigError("\n".join(found), "change the keys named; azr config reference explains each")
    return config


def _refused_terms(config: Config) -> Iterator[str]:
    """What the reward terms that are on say of their options; making one says it with its key."""
    known = term_names()
    for name, term in config.algorithm.proposer_reward.terms.items():
        if term.coefficient and name in known:
            try:
                make_term(name, term)
            except ConfigError as error:
                yield f"{error.what} ({error.mend})"


def _refused_sandbox(config: Config) -> Iterator[Problem]:
    """What the back end says of its options. Ours are made, for they judge values as well and cost nothing before their
    first job; one of others may own a whole engine, so that only the names of its options are looked at."""
    name, options = config.sandbox.backend, config.sandbox.options
    try:
        if name in BUILT_IN:
            make_backend(name, options).close()
        else:
            check_options(name, find_backend(name), options)
    except (BackendConfigurationError, UnknownBackendError) as error:
        yield Problem("sandbox.options", str(error), "sandbox.backend says which back end takes them")
    except (TypeError, ValueError) as error:  # a value, which the back end calls by its option
        yield Problem("sandbox.options", str(error), "give a value that it takes, or leave the option out")


def _unknown(key: str, noun: str, given: Iterable[str], known: Iterable[str], mend: str) -> list[Problem]:
    known = tuple(known)
    return [
        Problem(key, f"no {noun} is called {name!r}; {did_you_mean(name, known)}", mend)
        for name in given
        if name not in known
    ]
