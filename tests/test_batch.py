"""Quotas, composition and loss weights of a batch."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from azr.config.sections.algorithm import AlgorithmConfig, BatchConfig, GameConfig
from azr.game.batch import BatchPlan, Composition, Quota, apportion, compose, divided, loss_weights, quotas
from azr.game.types import Cell

A, B, C = Cell("a", "solve"), Cell("b", "solve"), Cell("c", "solve")
P, Q = Cell("a", "propose"), Cell("b", "propose")


def algorithm(**batch: object) -> AlgorithmConfig:
    return AlgorithmConfig(
        game=GameConfig(task_types=["a", "b"]),
        batch=BatchConfig(**{"propose": 4, "solve": 16, "attempts_per_task": 4, **batch}),  # type: ignore[arg-type]
    )


def compose_with(
    supply: dict[Cell, int], *quotas: Quota, carried: dict[Cell, int] | None = None, **rule: object
) -> Composition:
    return compose(BatchPlan(quotas, **rule), supply, carried or {})  # type: ignore[arg-type]


class TestQuotas:
    def test_the_default_step_is_1920_sequences_all_trained_on(self) -> None:
        found = quotas(AlgorithmConfig())
        assert len(found) == 6
        assert sum(quota.sequences for quota in found) == 1920
        # 576 attempts are 72 tasks.
        assert found[1] == Quota(Cell("deduction", "solve"), groups=72, group_size=8)

    def test_each_task_type_has_two_cells_proposing_first(self) -> None:
        assert quotas(algorithm()) == (Quota(P, 4), Quota(A, 4, 4), Quota(Q, 4), Quota(B, 4, 4))

    def test_without_proposers_there_are_only_attempts(self) -> None:
        config = algorithm()
        config.game.train_propose = False
        assert quotas(config) == (Quota(A, 4, 4), Quota(B, 4, 4))

    def test_the_plan_is_the_quotas_and_what_to_do_when_a_cell_is_dry(self) -> None:
        config = algorithm(when_dry="carry", carry_limit=0.5)
        assert BatchPlan.of(config) == BatchPlan(quotas(config), "carry", 0.5)


class TestDivided:
    def test_shards_share_the_quotas_in_whole_groups(self) -> None:
        # 64 proposals and 72 groups of 8 over three shards.
        parts = divided(AlgorithmConfig(), 3)
        assert [(part.batch.propose, part.batch.solve) for part in parts] == [(22, 192), (21, 192), (21, 192)]

    def test_a_group_is_of_one_shard(self) -> None:
        """Three groups of 8 over two shards: two and one, not twelve attempts each."""
        parts = divided(algorithm(propose=2, solve=24, attempts_per_task=8), 2)
        assert [part.batch.solve for part in parts] == [16, 8]

    def test_one_shard_has_everything(self) -> None:
        assert divided(AlgorithmConfig(), 1) == (AlgorithmConfig(),)

    @given(st.integers(0, 9), st.integers(0, 9), st.integers(1, 5))
    def test_nothing_is_lost_and_every_shard_can_hold_the_ratings_of_its_proposals(
        self, propose: int, more: int, shards: int
    ) -> None:
        parts = divided(algorithm(propose=propose, solve=4 * (propose + more)), shards)
        assert sum(part.batch.propose for part in parts) == propose
        assert sum(part.batch.solve for part in parts) == 4 * (propose + more)
        assert all(4 * part.batch.propose <= part.batch.solve for part in parts)
        assert max(part.batch.propose for part in parts) - min(part.batch.propose for part in parts) <= 1


def test_a_batch_takes_the_quotas_and_leaves_the_rest() -> None:
    got = compose_with({A: 9, P: 4}, Quota(P, 4), Quota(A, 4))
    assert got == Composition({P: 4, A: 4}, {}, {}, {})
    assert got.groups == 8


def test_a_cell_without_supply_lacks_everything() -> None:
    assert compose_with({}, Quota(A, 4)) == Composition({A: 0}, {A: 4}, {A: 4}, {})


class TestRedistribute:
    def test_places_go_to_cells_of_the_same_role_that_have_more(self) -> None:
        supply = {A: 1, B: 9, P: 4, Q: 9}
        got = compose_with(supply, Quota(P, 4), Quota(A, 4), Quota(Q, 4), Quota(B, 4), when_dry="redistribute")
        assert got.take == {P: 4, A: 1, Q: 4, B: 7}
        assert (got.lacking, got.missing) == ({A: 3}, {})

    def test_never_to_the_other_role(self) -> None:
        got = compose_with({A: 99}, Quota(P, 4), Quota(A, 4), when_dry="redistribute")
        assert (got.take, got.missing) == ({P: 0, A: 4}, {P: 4})

    def test_in_proportion_to_quotas(self) -> None:
        got = compose_with({B: 99, C: 99}, Quota(A, 6), Quota(B, 4), Quota(C, 2), when_dry="redistribute")
        assert got.take == {A: 0, B: 8, C: 4}

    def test_no_cell_gives_more_than_it_has_and_the_rest_is_missing_where_it_was_lacking(self) -> None:
        got = compose_with({A: 1, B: 2, C: 5}, Quota(A, 4), Quota(B, 4), Quota(C, 4), when_dry="redistribute")
        assert got.take == {A: 1, B: 2, C: 5}
        # Lacking 3 and 2, one made up for: 4 missing, in proportion 3 : 2 with the tie to the first.
        assert (got.lacking, got.missing) == ({A: 3, B: 2}, {A: 3, B: 1})


class TestCarry:
    def test_a_deficit_is_asked_for_next_time(self) -> None:
        both = (Quota(A, 4), Quota(B, 4))
        first = compose_with({A: 1, B: 9}, *both, when_dry="carry")
        assert first == Composition({A: 1, B: 4}, {A: 3}, {A: 3}, {A: 3})
        second = compose_with({A: 9, B: 9}, *both, carried=first.carried, when_dry="carry")
        assert second == Composition({A: 7, B: 4}, {}, {}, {})

    def test_what_is_carried_is_asked_for_but_lacked_by_nobody(self) -> None:
        # Quota 4 and 3 carried, 5 there: the quota is whole, 2 are still owed.
        got = compose_with({A: 5}, Quota(A, 4), carried={A: 3}, when_dry="carry")
        assert got == Composition({A: 5}, {}, {A: 2}, {A: 2})

    def test_a_deficit_never_grows_beyond_the_limit(self) -> None:
        carried: dict[Cell, int] = {}
        for _ in range(5):
            carried = compose_with({}, Quota(A, 4), carried=carried, when_dry="carry", carry_limit=1.5).carried
        assert carried == {A: 6}


@given(
    st.lists(st.integers(1, 8), min_size=3, max_size=3),
    st.lists(st.integers(0, 12), min_size=3, max_size=3),
    st.lists(st.integers(0, 8), min_size=3, max_size=3),
    st.sampled_from(["redistribute", "carry", "wait"]),
)
def test_every_group_is_accounted_for(sizes: list[int], have: list[int], owed: list[int], when_dry: str) -> None:
    plan = BatchPlan(tuple(Quota(cell, groups) for cell, groups in zip((A, B, C), sizes, strict=True)), when_dry)
    supply = dict(zip((A, B, C), have, strict=True))
    carried = dict(zip((A, B, C), owed, strict=True)) if when_dry == "carry" else {}
    got = compose(plan, supply, carried)
    assert all(0 <= part <= supply[cell] for cell, part in got.take.items())
    assert got.groups + sum(got.missing.values()) == sum(sizes) + sum(carried.values())
    if when_dry == "redistribute" and got.missing:
        assert got.groups == sum(have)
    assert got == compose(plan, supply, carried)


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
