"""Mutations of staleness and admission."""

from __future__ import annotations

from tests.mutation.mutation import mutations

MUTATIONS = [
    *mutations(
        "azr/staleness/bound.py",
        "tests/staleness/test_bound.py",
        [
            ("return consumer.step - oldest.step", "return consumer.step - oldest.step - 1"),
            ("consumer) > max_staleness else", "consumer) >= max_staleness else"),
            ("staleness(min(versions), consumer) > max", "staleness(max(versions), consumer) > max"),
            ("not all(map(ancestry.holds, versions))", "not ancestry.holds(min(versions))"),
            ("version.step >= self.forks[-1].step", "version.step > self.forks[-1].step"),
            ("and version.step <= fork.step for", "and version.step < fork.step for"),
            ("if fork.lineage < at.lineage", "if fork.lineage <= at.lineage"),
            ("if lineage <= self.lineage:", "if lineage < self.lineage:"),
            ("staleness(newest := max(versions), consumer) < 0", "staleness(newest := min(versions), consumer) < 0"),
        ],
    ),
    *mutations(
        "azr/staleness/admission.py",
        "tests/staleness/test_admission.py",
        [
            ("(max_staleness + 1) * quota - outstanding", "max_staleness * quota - outstanding"),
            ("(max_staleness + 1) * quota - outstanding", "(max_staleness + 1) * quota + outstanding"),
            ("return self._open[cell] + self._training[cell]", "return self._open[cell]"),
            ("self._open[propose] >= self.limits.propose", "self._open[propose] > self.limits.propose"),
            ("if (free := self.free(propose)) < 1:", "if (free := self.free(propose)) < 0:"),
            ("- proposals * self.limits.rating_slots) < size", ") < size"),
            ("share < size and (proposals or", "share < size and (False or"),
            ("self._open[cell] + size > self.limits.solve", "self._open[cell] + size >= self.limits.solve"),
            ("return self.attempts if self.rating_trained else 0", "return self.attempts"),
            ("return -self.free(cell) - self.limits.propose", "return self.free(cell) - self.limits.propose"),
            ("self._replay[cell] -= slots if replay else 0", "self._replay[cell] -= 0"),
            ("self.solve < self.propose * self.rating_slots", "self.solve <= self.propose * self.rating_slots"),
        ],
    ),
    *mutations(
        "azr/staleness/lengths.py",
        "tests/staleness/test_lengths.py",
        [
            ('swept[np.argsort(lengths, kind="stable")]', "swept"),
            ("maxlen=window", "maxlen=None"),
        ],
    ),
    *mutations(
        "azr/run/gathering.py",
        "tests/run/test_gathering.py",
        [("swept > staleness.sweep_alarm", "swept >= staleness.sweep_alarm")],
    ),
]
