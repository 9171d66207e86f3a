"""The sections of the run itself refuse what cannot run, with the key and the mend."""

from __future__ import annotations

import pytest

from azr.config import load
from azr.errors import ConfigError


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("model.frame=r2", "model.frame: 'r2' is not known (choose one of compact, r1, chat)"),
        ("evaluation.suite=mmlu", "evaluation.suite: 'mmlu' is not known"),
        ("cluster.placement=TIGHT", "cluster.placement"),
        ("safety.action=delete", "safety.action"),
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


def test_ipc_is_refused_where_the_learner_has_more_ranks_than_one() -> None:
    with pytest.raises(ConfigError, match=r"weights\.transport: ipc serves one learner rank, not 2.*use shm or nccl"):
        load([], ["weights.transport=ipc", "learner.ranks=2"])
    assert load([], ["weights.transport=ipc"]).learner.ranks == 1


def test_the_defaults_pass() -> None:
    assert load().model.path == ""
