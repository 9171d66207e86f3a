"""Mutations of advantages."""

from __future__ import annotations

from tests.mutation.mutation import mutations

ESTIMATORS = "tests/advantages/test_estimators.py"
MOMENTS = "tests/advantages/test_moments.py"
COMPUTE = "tests/advantages/test_compute.py"

MUTATIONS = [
    *mutations(
        "azr/advantages/moments.py",
        MOMENTS,
        [
            ("np.where(total > 1.0, total - 1.0, 1.0)", "np.where(total > 1.0, total, 1.0)"),
            ("np.where(total > 1.0, total - 1.0, 1.0)", "np.where(total > 3.0, total - 1.0, 1.0)"),
            ("weights=weights * (rewards - mean[segment]) ** 2", "weights=(rewards - mean[segment]) ** 2"),
            ("weights=weights * rewards,", "weights=rewards,"),
            ("(rewards - mean[segment]) ** 2", "(rewards + mean[segment]) ** 2"),
            ("running_mean + share * (batch.mean", "running_mean - share * (batch.mean"),
            ("running_variance + share * (batch.variance", "running_variance - share * (batch.variance"),
            ("share * (1.0 - share) *", "share *"),
            ("within + between", "within - between"),
            ("within + between", "within"),
            ("lowest == highest", "lowest <= highest"),
            ("lowest, group, rewards)\n    np.maximum", "lowest, group, rewards)\n    np.minimum"),
            ("(total - rewards) / np.maximum(count - 1, 1)", "(total + rewards) / np.maximum(count - 1, 1)"),
            ("(total - rewards) / np.maximum(count - 1, 1)", "(total - rewards) / np.maximum(count, 1)"),
            ("np.where(count > 1,", "np.where(count > 2,"),
            ("np.where(count > 1,", "np.where(count > 0,"),
        ],
    ),
    *mutations(
        "azr/advantages/estimators/trrpp.py",
        ESTIMATORS,
        [
            ("samples.rewards - statistics.mean[samples.cell]", "samples.rewards + statistics.mean[samples.cell]"),
            ("statistics.mean[samples.cell]", "statistics.mean[0]"),
            ("centred * scale[samples.cell]", "centred * scale[0]"),
            ("statistics.variance + statistics.epsilon", "statistics.variance - statistics.epsilon"),
            ("np.sqrt(statistics.variance + statistics.epsilon)", "(statistics.variance + statistics.epsilon)"),
        ],
    ),
    *mutations(
        "azr/advantages/estimators/leave_one_out.py",
        ESTIMATORS,
        [
            ("samples.rewards - others_mean", "samples.rewards + others_mean"),
            ("scale[samples.cell]", "scale[0]"),
            ("trained=~idle", "trained=idle"),
            ("np.sqrt(statistics.variance + statistics.epsilon)", "(statistics.variance + statistics.epsilon)"),
        ],
    ),
    *mutations(
        "azr/advantages/estimators/rloo.py",
        ESTIMATORS,
        [("samples.rewards - others_mean", "samples.rewards + others_mean"), ("trained=~idle", "trained=idle")],
    ),
    *mutations(
        "azr/advantages/estimators/grpo.py",
        ESTIMATORS,
        [
            ("samples.rewards - own.mean[samples.group]", "samples.rewards + own.mean[samples.group]"),
            ("deviation + statistics.epsilon", "deviation - statistics.epsilon"),
            ("np.sqrt(own.variance)", "(own.variance)"),
            ("trained=~idle", "trained=idle"),
        ],
    ),
    *mutations(
        "azr/advantages/estimators/dr_grpo.py",
        ESTIMATORS,
        [("samples.rewards - group_mean", "samples.rewards + group_mean"), ("trained=~idle", "trained=idle")],
    ),
    *mutations(
        "azr/advantages/estimators/reinforce_pp.py",
        ESTIMATORS,
        [
            ("rewards - mean[0]", "rewards + mean[0]"),
            ("variance[0] + epsilon", "variance[0] - epsilon"),
            ("np.sqrt(variance[0] + epsilon)", "(variance[0] + epsilon)"),
            ("moments(rewards, weights, np", "moments(rewards, np.ones(len(rewards)), np"),
        ],
    ),
    *mutations(
        "azr/advantages/estimators/reinforce_pp_baseline.py",
        ESTIMATORS,
        [
            ("samples.rewards - group_mean", "samples.rewards + group_mean"),
            ("whitened(centred,", "whitened(samples.rewards,"),
        ],
    ),
    *mutations(
        "azr/advantages/estimators/rejection_sampling.py",
        ESTIMATORS,
        [("rewards > 0.0", "rewards >= 0.0"), ("trained=kept", "trained=~kept"), ("kept, 1.0, 0.0", "kept, 1.0, -1.0")],
    ),
    *mutations(
        "azr/advantages/compute.py",
        COMPUTE,
        [
            ("values.clip(-config.limit, config.limit)", "values.clip(0.0, config.limit)"),
            ("values.clip(-config.limit, config.limit)", "values.clip(-config.limit, None)"),
            ("config.limit > 0.0", "config.limit >= 0.0"),
            ('cell.role == "propose"', 'cell.role == "solve"'),
            ("(~proposing, config.solve)", "(~proposing, config.propose)"),
            (
                "min(running_weight, float(baseline.sequences)) if baseline else 0.0",
                "running_weight if baseline else 0.0",
            ),
            ("count + (before.sequences if before else 0)", "count"),
            ("if config.propose == config.solve:", "if False:"),
        ],
    ),
    *mutations(
        "azr/advantages/records.py",
        "tests/advantages/test_records.py",
        [
            ("groups.setdefault((cell, trajectory.group)", "groups.setdefault((0, trajectory.group)"),
            ("len(trajectory.response_ids)", "len(trajectory.prompt_ids)"),
            ("rewards=self.rewards[chosen]", "rewards=self.rewards[~chosen]"),
        ],
    ),
    *mutations(
        "azr/advantages/baselines.py",
        COMPUTE,
        [("baselines.schema != SCHEMA_VERSION", "baselines.schema < SCHEMA_VERSION"), ("{**self.cells, **", "{**")],
    ),
]
