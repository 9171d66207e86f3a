"""Names tell their shard."""

from __future__ import annotations

import pytest

from actors.services.split import check_shards, named, plain_name, shard_of_name
from azr.config.root import Config
from azr.errors import ConfigError
from azr.game.batch import divided
from azr.staleness.admission import Limits


def test_a_name_begins_with_its_shard_and_keeps_the_rest_as_it_was() -> None:
    name = named(2, "solver-0@5f/17")
    assert name == "2.solver-0@5f/17"
    assert shard_of_name(name) == 2
    assert plain_name(name) == "solver-0@5f/17"


def test_the_rating_of_a_proposal_lives_in_the_shard_of_the_proposal() -> None:
    assert shard_of_name(f"{named(1, 'proposer-0@5f/3')}/rating") == 1


@pytest.mark.parametrize("name", ["solver-0", "x.solver", ".solver", ""])
def test_a_name_of_no_shard_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="names no shard"):
        shard_of_name(name)


@pytest.mark.parametrize("shards", [1, 2, 3, 7])
def test_the_parts_of_the_shards_add_up_to_exactly_the_whole(shards: int) -> None:
    config = Config()
    parts = [Limits.of(part, config.staleness) for part in divided(config.algorithm, shards)]
    assert sum(part.propose for part in parts) == 64
    assert sum(part.solve for part in parts) == 576
    assert all(part.solve % 8 == 0 for part in parts)
    assert max(part.propose for part in parts) - min(part.propose for part in parts) <= 1


def test_more_shards_than_groups_are_refused() -> None:
    algorithm = Config().algorithm
    algorithm.batch.solve = 16
    check_shards(algorithm, 2)
    with pytest.raises(ConfigError, match="2 groups of attempts"):
        check_shards(algorithm, 3)
    with pytest.raises(ConfigError):
        check_shards(algorithm, 0)
