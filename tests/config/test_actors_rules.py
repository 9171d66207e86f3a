"""The section `actors` refuses what cannot run, with the key and the mend."""

from __future__ import annotations

import pytest

from azr.config import load
from azr.errors import ConfigError


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["actors.journal_sync=always"], "actors.journal_sync: 'always' is not known (choose one of commit"),
        (["actors.solvers=0"], "actors.solvers: 0 is out of range (it must be at least 1)"),
        (["actors.poll_seconds=0"], "actors.poll_seconds: 0.0 is out of range"),
        (["actors.silence_seconds=3"], "actors.silence_seconds: 3 s leave no time for 2 heartbeats of 2 s"),
        (["actors.grace_seconds=3"], "actors.grace_seconds: 3 s leave no time"),
        (
            ["actors.experience_shards=5", "algorithm.batch.solve=32", "algorithm.batch.propose=4"],
            "4 groups of attempts a step cannot be shared out over 5 shards",
        ),
    ],
)
def test_a_value_that_cannot_run_is_refused_with_its_key(overrides: list[str], told: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load([], overrides)
    assert told in str(refused.value)


def test_as_many_shards_as_groups_are_fine() -> None:
    assert load([], ["actors.experience_shards=72"]).actors.experience_shards == 72
