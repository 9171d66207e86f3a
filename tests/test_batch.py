"""Quotas, composition and loss weights of a batch."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azr.config.sections.algorithm import AlgorithmConfig, BatchConfig, GameConfig
from azr.game.batch import Composition, Quota, Supply, apportion, compose, loss_weights, quotas
from azr.game.types import Cell

A, B, C = Cell("a", "solve"), Cell("b", "solve"), Cell("c", "solve")
P, Q = Cell("a", "propose"), Cell("b", "propose")


def algorithm(**batch: object) -> AlgorithmConfig:
    return AlgorithmConfig(
        game=GameConfig(task_types=["a", "b"]),
        batch=BatchConfig(**{"propose": 4, "solve": 16, "attempts_per_task": 4, **batch}),  # type: ignore[arg-type]
    )


def taken(composition: Composition) -> dict[Cell, tuple[int, int]]:
    return {cell: (supply.new, supply.replay) for cell, supply in composition.take.items()}


class TestQuotas:
    def test_the_default_step_is_1920_sequences_all_trained_on(self) -> None:
        found = quotas(AlgorithmConfig())
        assert len(found) == 6
        assert sum(quota.sequences for quota in found) == 1920
        # 576 attempts are 72 tasks, a quarter of them replayed.
        assert found[1] == Quota(Cell("deduction", "solve"), groups=72, group_size=8, replay=18)

    def test_each_task_type_has_two_cells_proposing_first(self) -> None:
        assert quotas(algorithm(replay_share=0.5)) == (Quota(P, 4), Quota(A, 4, 4, 2), Quota(Q, 4), Quota(B, 4, 4, 2))

    def test_without_proposers_all_solving_is_replay(self) -> None:
        config = algorithm()
        config.game.train_propose = False
        assert quotas(config) == (Quota(A, 4, 4, 4), Quota(B, 4, 4, 4))


class TestWithinACell:
    @pytest.mark.parametrize(
        ("new", "replay", "expected"),
        [(9, 9, (3, 1)), (2, 9, (2, 2)), (9, 0, (4, 0)), (0, 9, (0, 4)), (1, 1, (1, 1)), (0, 0, (0, 0))],
    )
    def test_new_tasks_and_replay_fill_in_for_each_other(
        self, new: int, replay: int, expected: tuple[int, int]
    ) -> None:
        got = compose([Quota(A, 4, 4, 1)], {A: Supply(new, replay)}, {}, BatchConfig())
        assert taken(got) == {A: expected}
        assert got.missing == {A: 4 - sum(expected)}
        assert got.complete == (sum(expected) == 4)

    def test_a_cell_without_supply_is_all_missing(self) -> None:
        got = compose([Quota(A, 4)], {}, {}, BatchConfig())
        assert (taken(got), got.missing, got.complete) == ({A: (0, 0)}, {A: 4}, False)


class TestRedistribute:
    BATCH = BatchConfig(when_dry="redistribute")

    def test_places_go_to_cells_of_the_same_role_that_have_more(self) -> None:
        supply = {A: Supply(new=1), B: Supply(new=9), P: Supply(new=4), Q: Supply(new=9)}
        got = compose([Quota(P, 4), Quota(A, 4), Quota(Q, 4), Quota(B, 4)], supply, {}, self.BATCH)
        assert taken(got) == {P: (4, 0), A: (1, 0), Q: (4, 0), B: (7, 0)}
        assert got.complete

    def test_never_to_the_other_role(self) -> None:
        got = compose([Quota(P, 4), Quota(A, 4)], {A: Supply(new=99)}, {}, self.BATCH)
        assert taken(got) == {P: (0, 0), A: (4, 0)}
        assert got.missing == {P: 4, A: 0}

    def test_in_proportion_to_quotas(self) -> None:
        supply = {A: Supply(), B: Supply(new=99), C: Supply(new=99)}
        got = compose([Quota(A, 6), Quota(B, 4), Quota(C, 2)], supply, {}, self.BATCH)
        assert taken(got) == {A: (0, 0), B: (8, 0), C: (4, 0)}

    def test_no_cell_gives_more_than_it_has_and_the_rest_is_missing_where_it_was_lacking(self) -> None:
        supply = {A: Supply(new=1), B: Supply(new=2), C: Supply(new=5)}
        got = compose([Quota(A, 4), Quota(B, 4), Quota(C, 4)], supply, {}, self.BATCH)
        assert taken(got) == {A: (1, 0), B: (2, 0), C: (5, 0)}
        # Lacking 3 and 2, one made up for: 4 missing, in proportion 3 : 2 with the tie to the first.
        assert got.missing == {A: 3, B: 1, C: 0}

    def test_the_places_a_cell_is_given_keep_its_proportion_of_replay(self) -> None:
        got = compose([Quota(A, 4), Quota(B, 4, 1, 2)], {B: Supply(new=9, replay=9)}, {}, self.BATCH)
        assert taken(got)[B] == (4, 4)


class TestCarry:
    BATCH = BatchConfig(when_dry="carry", carry_limit=1.0)

    def test_a_deficit_is_asked_for_next_time(self) -> None:
        first = compose([Quota(A, 4), Quota(B, 4)], {A: Supply(new=1), B: Supply(new=9)}, {}, self.BATCH)
        assert taken(first) == {A: (1, 0), B: (4, 0)}
        assert (first.missing, first.carried) == ({A: 3, B: 0}, {A: 3, B: 0})
        second = compose([Quota(A, 4), Quota(B, 4)], {A: Supply(new=9), B: Supply(new=9)}, first.carried, self.BATCH)
        assert taken(second) == {A: (7, 0), B: (4, 0)}
        assert (second.complete, second.carried) == (True, {A: 0, B: 0})

    def test_a_deficit_never_grows_beyond_the_limit(self) -> None:
        carried: dict[Cell, int] = {}
        for _ in range(5):
            carried = compose([Quota(A, 4)], {}, carried, BatchConfig(when_dry="carry", carry_limit=1.5)).carried
        assert carried == {A: 6}


class TestWait:
    BATCH = BatchConfig(when_dry="wait")

    def test_takes_nothing_until_every_cell_is_whole(self) -> None:
        got = compose([Quota(A, 4), Quota(B, 4)], {A: Supply(new=3), B: Supply(new=9)}, {}, self.BATCH)
        assert (taken(got), got.missing, got.complete) == ({A: (0, 0), B: (0, 0)}, {A: 1, B: 0}, False)

    def test_takes_exactly_the_quotas_then(self) -> None:
        got = compose([Quota(A, 4), Quota(B, 4)], {A: Supply(new=4), B: Supply(new=9)}, {}, self.BATCH)
        assert (taken(got), got.complete) == ({A: (4, 0), B: (4, 0)}, True)


SUPPLIES = st.tuples(st.integers(0, 12), st.integers(0, 12)).map(lambda pair: Supply(*pair))


@given(
    st.lists(st.tuples(st.integers(1, 8), st.integers(0, 8)), min_size=3, max_size=3),
    st.lists(SUPPLIES, min_size=3, max_size=3),
    st.sampled_from(["redistribute", "carry", "wait"]),
)
def test_every_group_is_accounted_for(sizes: list[tuple[int, int]], have: list[Supply], when_dry: str) -> None:
    wanted = [
        Quota(cell, groups, 1, min(replay, groups)) for cell, (groups, replay) in zip((A, B, C), sizes, strict=True)
    ]
    supply = dict(zip((A, B, C), have, strict=True))
    got = compose(wanted, supply, {}, BatchConfig(when_dry=when_dry))
    for cell, part in got.take.items():
        assert 0 <= part.new <= supply[cell].new
        assert 0 <= part.replay <= supply[cell].replay
    total = sum(part.new + part.replay for part in got.take.values())
    if when_dry != "wait" or got.complete:
        assert total + sum(got.missing.values()) == sum(quota.groups for quota in wanted)
    if when_dry == "redistribute" and not got.complete:
        assert total == sum(part.new + part.replay for part in have)
    assert got == compose(wanted, supply, {}, BatchConfig(when_dry=when_dry))


class TestApportion:
    def test_by_hand(self) -> None:
        # Weights 3 and 1, four places: 3, 1.5 → first; 1.5, 1 → first; 1, 1 → tie, first; ¾, 1 → second.
        assert apportion(4, {A: 3, B: 1}, {A: 9, B: 9}) == {A: 3, B: 1}

    def test_stops_when_nobody_has_room(self) -> None:
        assert apportion(4, {A: 3, B: 1}, {A: 1, B: 1}) == {A: 1, B: 1}
        assert apportion(4, {}, {}) == {}


class TestLossWeights:
    def test_are_one_by_default(self) -> None:
        assert loss_weights([P, A, A], algorithm()).tolist() == [1.0, 1.0, 1.0]

    def test_lambda_weighs_solving_against_proposing(self) -> None:
        assert loss_weights([P, A, Q], algorithm(solve_lambda=0.25)).tolist() == [1.0, 0.25, 1.0]

    def test_a_cells_own_weight_multiplies(self) -> None:
        config = algorithm(solve_lambda=0.5, cell_weights={"a/solve": 3.0, "b/propose": 2.0})
        assert loss_weights([P, A, Q, B], config).tolist() == [1.0, 1.5, 2.0, 0.5]

    def test_equal_cells_weigh_by_their_quota_however_many_came(self) -> None:
        # Quotas 4 and 16: two proposals stand for four, one attempt for sixteen.
        assert loss_weights([P, P, A], algorithm(equal_cells=True)).tolist() == [2.0, 2.0, 16.0]

    def test_a_batch_that_fills_its_quotas_has_the_same_weights_either_way(self) -> None:
        cells = [P] * 4 + [A] * 16
        assert (loss_weights(cells, algorithm(equal_cells=True)) == loss_weights(cells, algorithm())).all()

    def test_an_empty_batch_has_none(self) -> None:
        assert loss_weights([], algorithm(equal_cells=True)).tolist() == []
