"""What a mutation is: one small change to the text of one module, which some test must notice."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import azr

ROOT = Path(azr.__file__).parents[1]


class Mutation(NamedTuple):
    """`before`, which stands exactly once in the module, becomes `after`; then one of `tests` must fail."""

    module: str
    before: str
    after: str
    tests: tuple[str, ...]
    may_hang: bool = False
    """The tests may also never end, because what is changed is what a loop of the module ends by."""

    @property
    def dotted(self) -> str:
        """The module's name as it is imported: `azr/metrics/exact.py` is `azr.metrics.exact`."""
        return self.module.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    def source(self) -> str:
        """The module's text after the change."""
        text = (ROOT / self.module).read_text()
        if (count := text.count(self.before)) != 1:
            raise ValueError(f"{self.module}: {self.before!r} stands there {count} times, not once; mend the list")
        if self.before == self.after:
            raise ValueError(f"{self.module}: {self.before!r} is changed into itself")
        return text.replace(self.before, self.after)

    def __str__(self) -> str:
        return f"{self.module}: {self.before!r} -> {self.after!r}"


def mutations(
    module: str, tests: str | Sequence[str], changes: Sequence[tuple[str, str]], *, may_hang: bool = False
) -> list[Mutation]:
    """Several changes to one module, judged by the same test files."""
    files = (tests,) if isinstance(tests, str) else tuple(tests)
    return [Mutation(module, before, after, files, may_hang) for before, after in changes]


def all_mutations() -> list[Mutation]:
    """Of every list, in order."""
    package = importlib.import_module("tests.mutation.lists")
    found: list[Mutation] = []
    for entry in sorted(pkgutil.iter_modules(package.__path__), key=lambda entry: entry.name):
        found += importlib.import_module(f"tests.mutation.lists.{entry.name}").MUTATIONS
    return found


def short(mutations_: Sequence[Mutation]) -> list[Mutation]:
    """The first mutation of each module: enough to see that each module's tests bite."""
    first: dict[str, Mutation] = {}
    for mutation in mutations_:
        first.setdefault(mutation.module, mutation)
    return list(first.values())
