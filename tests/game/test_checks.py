"""Names that only the game knows are told before anything runs."""

from __future__ import annotations

import pytest

from azr.cli.main import main
from azr.config import load
from azr.errors import ConfigError
from azr.game.checks import check, unknown_names
from azr.game.rewards.registry import term_names
from azr.game.tasks import names

TERM = "algorithm.proposer_reward.terms.{}.coefficient=0.5"


def test_all_that_is_registered_may_be_named() -> None:
    kinds = f"algorithm.game.task_types=[{','.join(names())}]"
    config = load([], [kinds, *(TERM.format(name) for name in term_names())])
    assert check(config) is config


def test_what_is_unknown_is_told_with_the_nearest_name_and_all_at_once() -> None:
    config = load([], ["algorithm.game.task_types=[deduction,inductoin]", TERM.format("complxity")])
    with pytest.raises(ConfigError) as error:
        check(config)
    told = str(error.value)
    assert "algorithm.game.task_types: no task type is called 'inductoin'; did you mean 'induction'?" in told
    assert "algorithm.proposer_reward.terms: no reward term is called 'complxity'; did you mean 'complexity'?" in told


def test_a_term_that_is_off_is_checked_as_well() -> None:
    config = load([], ["algorithm.proposer_reward.terms.nonsense.coefficient=0"])
    assert [problem.key for problem in unknown_names(config)] == ["algorithm.proposer_reward.terms"]


def test_commands_refuse_what_is_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "show", "algorithm.game.task_types=[deducton]"]) != 0
    assert "did you mean 'deduction'" in capsys.readouterr().err
