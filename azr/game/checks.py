"""What in a configuration only the game can know: task types, reward terms with those of plug-ins, what terms and
sandbox back ends take as options, and whether the plug-ins that are named can be loaded at all.

`azr.config` checks what it can without importing the game; whoever starts something from a configuration (every
command, through `azr.cli.config.config_of`) asks here as well, so that a mistyped name is told before anything runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial

from azr.config.root import Config
from azr.config.sections.algorithm_rules import LOSSES as KNOWN_LOSSES
from azr.config.sections.checking import Problem
from azr.config.sections.gating_rules import SEEDED
from azr.config.sections.weights import TRANSPORTS as KNOWN_TRANSPORTS
from azr.errors import ConfigError
from azr.game import tasks
from azr.game.rewards.registry import GROUP, make_term, term_names
from azr.names import did_you_mean
from azr.plugins import LOSSES, SAFETY, TRACKERS, TRANSPORTS, load_plugin
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
    found = [*map(str, unknown_names(config)), *_refused_terms(config), *map(str, _refused_sandbox(config))]
    found += _broken_plugins(config)
    if found := found or list(map(str, _without_references(config))):
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


def _broken_plugins(config: Config) -> Iterator[str]:
    """What installed plug-ins say when they are loaded, task types when they are made as well. A run would meet it in
    its parts: a player that plays without the type, a learner that ends when engines are up."""
    known = tasks.names()
    kinds = [name for name in config.algorithm.game.task_types if name in known]
    loss, transport = config.algorithm.loss.name, config.weights.transport
    others = [
        *((TRACKERS, name, "tracking.plugins") for name in config.tracking.plugins),
        *([] if loss in KNOWN_LOSSES else [(LOSSES, loss, "algorithm.loss.name")]),
        *([] if transport in KNOWN_TRANSPORTS else [(TRANSPORTS, transport, "weights.transport")]),
    ]
    loads: list[Callable[[], object]] = [
        *(partial(tasks.task_type, name) for name in kinds),
        *(partial(_detector, name) for name in config.safety.detectors),
        *(partial(load_plugin, *asked) for asked in others),
    ]
    for load in loads:
        try:
            load()
        except ConfigError as error:
            yield f"{error.what} ({error.mend})"


def _without_references(config: Config) -> Iterator[Problem]:
    """Types in play of which no proposal could be asked for, as each must be shown a known task, and there is none."""
    game, proposals = config.algorithm.game, config.algorithm.batch.propose
    if not (game.train_propose and proposals) or config.seeding.file or set(SEEDED) & set(game.task_types):
        return
    if all(getattr(tasks.task_type(name), "least_references", 0) for name in game.task_types):
        yield Problem(
            "algorithm.game.task_types",
            f"proposers of {', '.join(game.task_types)} must be shown known tasks, and nobody would make the first",
            f"play one of {', '.join(SEEDED)} as well, or name a file of such tasks (seeding.file)",
        )


def _detector(name: str) -> None:
    """Load it, and look at its class: it is made where the learner's batches are, and may want a card there."""
    make = load_plugin(SAFETY, name, "safety.detectors")
    if isinstance(make, type) and not hasattr(make, "find"):
        raise ConfigError(f"safety.detectors: {name!r} has no method `find`", "see azr.safety.detector.Detector")


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
