"""Mutations of batch composition, planning, and what may be configured."""

from __future__ import annotations

from tests.mutation.mutation import mutations

MUTATIONS = [
    *mutations(
        "azr/game/batch.py",
        "tests/test_batch.py",
        [
            ("min(round(owed * share), have.replay)", "round(owed * share)"),
            ("min(owed - replay, have.new)", "min(owed, have.new)"),
            ("min(owed - new, have.replay)", "replay"),
            ("quota.groups + carried.get(quota.cell, 0)", "quota.groups - carried.get(quota.cell, 0)"),
            ("min(lack, limits[cell])", "max(lack, limits[cell])"),
            ("weights[cell] / (given[cell] + 1)", "weights[cell]"),
            ("given[cell] < room[cell]", "given[cell] <= room[cell]"),
            ("sum(lacking.values()) - sum(gifts.values())", "sum(lacking.values()) + sum(gifts.values())"),
            ("batch.solve // batch.attempts_per_task", "batch.solve"),
            ("if game.train_propose else groups\n", "if game.train_propose else 0\n"),
            ('batch.solve_lambda if cell.role == "solve"', 'batch.solve_lambda if cell.role == "propose"'),
            ("value * share[cell] / present[cell]", "value * share[cell] * present[cell]"),
            ("self.groups * self.group_size", "self.groups"),
            ("for quota in wanted if quota.cell.role == role", "for quota in wanted"),
            ("int(quota.groups * batch.carry_limit)", "quota.groups"),
            ("take if whole else dict.fromkeys(take, Supply())", "take"),
        ],
    ),
    *mutations(
        "azr/game/planner.py",
        "tests/test_planner.py",
        [
            ("self.proposing + self.to_rate + self.rating", "self.proposing + self.rating"),
            ("self.propose_quota - self.propose_ready - self", "self.propose_quota + self.propose_ready - self"),
            ("self.solve_quota - under_way - coming)", "self.solve_quota - under_way)"),
            ("self.solve_quota - under_way - coming)", "self.solve_quota - coming)"),
            ("max(0, self.replay_quota - under_way, self", "max(0, self"),
            ("self.replay_ready + self.solving", "self.replay_ready"),
            ("+ self.unfinished_proposals + self.propose_lack", "+ self.propose_lack"),
            ("self.solve_quota - self.new_ready - under_way", "self.solve_quota + self.new_ready - under_way"),
            ("share > best[0]", "share >= best[0]"),
            ("demand.propose_lack / demand.propose_quota", "demand.propose_lack"),
            ("lack / demand.solve_quota", "lack"),
            ("demand.may_propose and demand", "demand"),
            ("demand.may_solve and demand", "demand"),
            ("max(demands, key=lambda demand: demand.to_rate", "min(demands, key=lambda demand: demand.to_rate"),
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
            ("low <= value and", "low < value and"),
            ("value <= high)", "value < high)"),
        ],
    ),
]
