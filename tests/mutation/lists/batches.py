"""Mutations of batch composition, and of what may be configured."""

from __future__ import annotations

from tests.mutation.mutation import mutations

MUTATIONS = [
    *mutations(
        "azr/game/batch.py",
        "tests/test_batch.py",
        [
            ("quota.groups + carried.get(quota.cell, 0)", "quota.groups - carried.get(quota.cell, 0)"),
            ("min(places, have[cell])", "places"),
            ("quota.groups - take[quota.cell] for", "owed[quota.cell] - take[quota.cell] for"),
            ("min(lack, limits[cell])", "max(lack, limits[cell])"),
            ("weights[cell] / (given[cell] + 1)", "weights[cell]"),
            ("given[cell] < room[cell]", "given[cell] <= room[cell]"),
            ("sum(lacking.values()) - sum(gifts.values())", "sum(lacking.values()) + sum(gifts.values())"),
            ("have[cell] - take[cell] for", "have[cell] for"),
            ("groups = batch.solve // batch.attempts_per_task\n    found", "groups = batch.solve\n    found"),
            ('batch.solve_lambda if cell.role == "solve"', 'batch.solve_lambda if cell.role == "propose"'),
            ("value * share[cell] / present[cell]", "value * share[cell] * present[cell]"),
            ("self.groups * self.group_size", "self.groups"),
            ("for quota in wanted if quota.cell.role == role", "for quota in wanted"),
            ("int(quota.groups * plan.carry_limit)", "quota.groups"),
            ("if count > 0}", "if count >= 0}"),
            ("(shard < whole % shards)", "(shard <= whole % shards)"),
            ("_part(groups, shards, shard) * batch.attempts_per_task", "_part(batch.solve, shards, shard)"),
        ],
    ),
    *mutations(
        "azr/config/sections/algorithm_rules.py",
        "tests/config/test_algorithm_rules.py",
        [
            ("max_staleness <= 1 or", "max_staleness <= 2 or"),
            ("max_staleness <= 1 or", "max_staleness < 1 or"),
            ('loss.name in ANCHORED_AT_BEHAVIOUR and loss.weight != "none"', "False"),
            ('and loss.weight == "none":\n        kind', 'and loss.weight == "icepop":\n        kind'),
            ("batch.solve < brought", "batch.solve <= brought"),
            ("batch.propose * rating.attempts", "batch.propose + rating.attempts"),
            ("rating.attempts < 2", "rating.attempts < 1"),
            ("batch.attempts_per_task < 2", "batch.attempts_per_task < 1"),
            ("rating.trained and rating.attempts !=", "rating.attempts !="),
            ("rating.trained and rating.temperature !=", "rating.temperature !="),
            ("term.coefficient < 0 and", "term.coefficient > 0 and"),
            ("if high is None else between", "if high is not None else between"),
        ],
    ),
    *mutations(
        "azr/config/sections/checking.py",
        "tests/config/test_checking.py",
        [
            ("value not in known", "value in known"),
            ("not value >= low", "value < low"),
            ("not value >= low", "not value > low"),
            ("low <= value", "low < value"),
            ("value <= high", "value < high"),
        ],
    ),
]
