"""Mutations of the task buffers."""

from __future__ import annotations

from tests.mutation.mutation import mutations

BUFFER = "tests/buffers/test_task_buffer.py"

MUTATIONS = [
    *mutations(
        "azr/buffers/sum_tree.py",
        "tests/buffers/test_sum_tree.py",
        [
            ("(targets >= left)", "(targets > left)"),
            (" & (self._sums[nodes + 1] > 0.0)", ""),
            ("targets -= np.where(right, left, 0.0)", "targets -= np.where(right, 0.0, left)"),
            ("self._sums[2 * nodes] + self._sums[2 * nodes + 1]", "self._sums[2 * nodes] + self._sums[2 * nodes]"),
            ("children[0::2] + children[1::2]", "children[0::2] - children[1::2]"),
            ("items = items[np.sort(first)]", "items = items[np.sort(first)][::-1]"),
            ("self.update(result, np.concatenate(kept))", ""),
            ("(weights >= 0.0)", "(weights >= -9.0)"),
            ("indices.max() >= self.capacity", "indices.max() > self.capacity"),
        ],
    ),
    *mutations(
        "azr/buffers/priority.py",
        "tests/buffers/test_priority.py",
        [
            ("np.exp2(-np.maximum", "np.exp2(np.maximum"),
            ("np.maximum(np.asarray(age, np.float64), 0.0)", "np.asarray(age, np.float64)"),
            ("a = 0.5 +", "a = 1.0 +"),
            ("b = 0.5 +", "b = 1.0 +"),
            ("4.0 * a * b", "2.0 * a * b"),
            ("(a + b + 1.0)", "(a + b - 1.0)"),
            ("np.asarray(wrong, np.float64) * share", "np.asarray(wrong, np.float64)"),
            ("np.asarray(copies, np.float64) ** -exponent", "np.asarray(copies, np.float64) ** exponent"),
            (
                "(1.0 + np.asarray(visits, np.float64)) ** -exponent",
                "(2.0 + np.asarray(visits, np.float64)) ** -exponent",
            ),
            ("floor + (1.0 - floor)", "floor + (1.0 + floor)"),
        ],
    ),
    *mutations(
        "azr/game/identity.py",
        "tests/game/test_identity.py",
        [
            ('hasher.update(len(encoded).to_bytes(8, "little"))', "pass"),
            ("(normal_form, *parts)", "parts"),
            ("and len(task.inputs) == 1", ""),
            ('duplicate_by == "program" and', ""),
        ],
    ),
    *mutations(
        "azr/game/tasks/abduction.py",
        "tests/game/test_identity.py",
        [("return task.output_keys", "return task.inputs")],
    ),
    *mutations(
        "azr/game/tasks/deduction.py", "tests/game/test_identity.py", [("return task.inputs", "return task.outputs")]
    ),
    *mutations(
        "azr/game/tasks/induction.py",
        "tests/game/test_identity.py",
        [
            ("sorted(set(task.inputs))", "dict.fromkeys(task.inputs)"),
            ("sorted(set(task.inputs))", "sorted(task.inputs)"),
        ],
    ),
    *mutations(
        "azr/buffers/likeness.py",
        "tests/buffers/test_likeness.py",
        [
            ("bits.mean(axis=0) > 0.5", "bits.mean(axis=0) > 2.0"),
        ],
    ),
    *mutations(
        "azr/buffers/sharding.py",
        "tests/buffers/test_sharding.py",
        [('"big") % shards', '"little") % shards')],
    ),
    *mutations(
        "azr/buffers/task_buffer.py",
        BUFFER,
        [
            ('row["right"] * kept + estimate.correct', 'row["right"] + estimate.correct'),
            ('row["wrong"] * kept + estimate.attempts - estimate.correct', 'row["wrong"] * kept + estimate.attempts'),
            ('max(estimate.step, int(row["rated_step"]))', "estimate.step"),
            ("self._replay_owed -= replay", "self._replay_owed = 0.0"),
            ("old = self.draw_replay(count - len(new))", "old = self.draw_replay(replay)"),
            ("and age > self.config.new_steps)", "and age >= self.config.new_steps)"),
            ('(self.step - rows["added_step"] > self.config.new_steps)', '(self.step - rows["added_step"] > 99)'),
            ("if waits and age < self.config.rest_steps:", "if False:"),
            ("if waits and age < self.config.rest_steps:", "if age < self.config.rest_steps:"),
            ('rows["added_step"] >= self.config.rest_steps', 'rows["added_step"] >= 0'),
            ("            if out:\n", "            if False:\n"),
            ('rows["out_step"] > self.config.out_steps', 'rows["out_step"] >= self.config.out_steps'),
            ('rows["visits"][slots] -= 1', 'rows["visits"][slots] -= 0'),
            ('np.argsort(-rows["sequence"][unrated])', 'np.argsort(rows["sequence"][unrated])'),
            (
                '[~rows["held"], rows["out"], ~self._replayable(rows), fresh], [4, 3, 2, 1]',
                '[~rows["held"], ~self._replayable(rows), fresh], [4, 2, 1]',
            ),
            ("np.lexsort((rows[", "np.lexsort((-rows["),
            ('& rested & ~rows["out"], weights', "& rested, weights"),
            ("np.bitwise_count(likeness ^ likeness[best])", "np.bitwise_count(likeness & likeness[best])"),
            ("* priority.freshness(", "/ priority.freshness("),
            ("* priority.novelty(", "/ priority.novelty("),
            ("int(self.config.capacity * EVICTION_SHARE))", "self.config.capacity)"),
            ("buffer._new.extend(state.new)", ""),
            ("buffer.generator.bit_generator.state = json.loads(state.generator)", ""),
        ],
    ),
]
