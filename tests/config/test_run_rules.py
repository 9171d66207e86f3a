"""The sections of the run itself refuse what cannot run, with the key and the mend."""

from __future__ import annotations

import pytest

from azr.config import Config, load
from azr.config.rules import problems
from azr.config.sections.evaluation import TINY_TASKS
from azr.config.sections.run import LARGEST_SEED
from azr.errors import ConfigError
from azr.tiny.held_out import TASKS


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("model.frame=r2", "model.frame: 'r2' is not known (choose one of compact, r1, chat)"),
        ("evaluation.suite=mmlu", "evaluation.suite: 'mmlu' is not known"),
        ("cluster.placement=TIGHT", "cluster.placement"),
        ("safety.action=delete", "safety.action"),
        ("run.seed=-1", "run.seed: -1 is out of range (it must be between 0 and 4294967295)"),
        ("run.seed=4294967296", "run.seed: 4294967296 is out of range"),
        ("run.seed=12345678901234567890123456", "run.seed: 12345678901234567890123456 is out of range"),
        ("run.steps=-1", "run.steps: -1 is out of range (it must be at least 0)"),
        ("staleness.max_staleness=-1", "staleness.max_staleness: -1 is out of range"),
        ("staleness.sweep_window=0", "staleness.sweep_window: 0 is out of range"),
        ("run.minutes=.nan", "run.minutes: nan is out of range"),
        ("cluster.object_store_mb=10", "cluster.object_store_mb"),
        ("cluster.address=ray://head:10001", "cluster.address: 'ray://head:10001' is a server for clients"),
        ("cluster.address=http://head:8265", "write HOST:PORT of the head, or submit the run with ray job submit"),
        ("run.name=a/b", "run.name: 'a/b' cannot name a folder"),
        ("run.name=..", "cannot name a folder"),
        ("safety.patterns.odd='('", "is no regular expression"),
    ],
)
def test_a_value_that_cannot_run_is_refused_with_its_key(override: str, told: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load([], [override])
    assert told in str(refused.value)


@pytest.mark.parametrize("seed", [0, LARGEST_SEED])
def test_the_first_and_the_last_seed_pass(seed: int) -> None:
    assert load([], [f"run.seed={seed}"]).run.seed == seed


@pytest.mark.parametrize("name", ["o\udcff", "a\nb", "a\0b", "\x1b[31m"])
def test_a_name_that_cannot_be_shown_is_refused(name: str) -> None:
    config = Config()
    config.run.name = name
    assert [problem.key for problem in problems(config)] == ["run.name"]


def test_no_more_tasks_are_asked_for_than_the_suite_has() -> None:
    assert TINY_TASKS == TASKS
    with pytest.raises(ConfigError, match=r"evaluation\.tasks: 201 are more than the suite tiny has.*at most 200"):
        load([], ["evaluation.suite=tiny", "evaluation.tasks=201"])
    assert load([], ["evaluation.suite=tiny", "evaluation.tasks=200"]).evaluation.tasks == 200
    assert load([], ["evaluation.suite=none", "evaluation.tasks=201"]).evaluation.tasks == 201


@pytest.mark.parametrize("share", [0.25, 0.5])
def test_a_card_for_two_ranks_is_refused(share: float) -> None:
    """NCCL forms no group of ranks that are on one card, which only the learner's start would tell."""
    told = rf"cluster\.learner_gpus: {share} may put two ranks on one card.*set it above 0\.5, or learner\.ranks: 1"
    with pytest.raises(ConfigError, match=told):
        load([], ["learner.ranks=2", f"cluster.learner_gpus={share}"])


@pytest.mark.parametrize(("ranks", "share"), [(1, 0.5), (2, 0.51), (2, 1.0), (2, 0.0)])
def test_a_card_for_each_rank_passes_and_so_do_ranks_on_cores(ranks: int, share: float) -> None:
    config = load([], [f"learner.ranks={ranks}", f"cluster.learner_gpus={share}"])
    assert (config.learner.ranks, config.cluster.learner_gpus) == (ranks, share)


def test_the_defaults_pass() -> None:
    assert load().model.path == ""
