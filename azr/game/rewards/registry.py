"""Intrinsic terms by name: ours, and users' own from the entry-point group `azr.rewards`.

    [project.entry-points."azr.rewards"]
    brevity = "my_rewards:Brevity"              # then: algorithm.proposer_reward.terms.brevity.coefficient=0.1

Only the terms whose coefficient is not 0 are imported and made.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any, cast

from azr.config.sections.algorithm import TermConfig
from azr.errors import ConfigError
from azr.game.rewards.answer_diversity import AnswerDiversity, AnswerTypeDiversity
from azr.game.rewards.cluster_share import ClusterShare
from azr.game.rewards.complexity import Complexity
from azr.game.rewards.edit_distance import EditDistance
from azr.game.rewards.halstead import Halstead
from azr.game.rewards.term import Term
from azr.names import did_you_mean
from azr.plugins import ambiguous_name

GROUP = "azr.rewards"

TermFactory = Callable[..., Term]

BUILT_IN: dict[str, TermFactory] = {
    "complexity": Complexity,
    "edit_distance": EditDistance,
    "halstead": Halstead,
    "answer_diversity": AnswerDiversity,
    "answer_type_diversity": AnswerTypeDiversity,
    "cluster_share": ClusterShare,
}


def term_names() -> list[str]:
    """Every name that may stand under `proposer_reward.terms`."""
    return sorted({*BUILT_IN, *entry_points(group=GROUP).names})


def find_term(name: str) -> TermFactory:
    """The term's class; one of ours goes before a user's of the same name."""
    if name in BUILT_IN:
        return BUILT_IN[name]
    if (ambiguous := ambiguous_name(GROUP, name)) is not None:
        raise ConfigError(f"the reward term {ambiguous[0]}", ambiguous[1])
    if found := tuple(entry_points(group=GROUP, name=name)):
        return _loaded(name, found[0].load)
    raise ConfigError(
        f"no reward term is called {name!r}; {did_you_mean(name, term_names())}",
        f"declare it as an entry point in the group {GROUP!r}",
    )


def make_term(name: str, config: TermConfig) -> Term:
    """The term with its options; what is wrong with them is told with the key."""
    key = f"algorithm.proposer_reward.terms.{name}"
    try:
        term = find_term(name)(**config.options)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{key}.options: {error}", "give the options that the term's class takes") from error
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(
            f"{key}: {name!r} cannot be made: {type(error).__name__}: {error}", "mend its class"
        ) from error
    if not isinstance(term, Term):
        raise ConfigError(f"{key}: {type(term).__name__} has no method `values`", "see azr.game.rewards.term.Term")
    return term


def _loaded(name: str, load: Callable[[], Any]) -> TermFactory:
    try:
        return cast(TermFactory, load())
    except Exception as error:
        raise ConfigError(
            f"the reward term {name!r} cannot be loaded: {type(error).__name__}: {error}",
            f"mend its entry point in the group {GROUP!r}",
        ) from error
