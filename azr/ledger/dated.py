"""Ids that are remembered for a while, each under a step, and let go of step by step.

Held by `azr.ledger.ledger`, which must know an id for as long as it could come again. Letting go costs what goes, and a
look at each step; never what stays: a checkpoint lets go of little, and the books of many steps stand behind it.

      id ──► step          asked for: is it known?
      step ──► [id, …]     let go of: all of these at once
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping


class DatedIds:
    """Ids, each under the step with which it came."""

    def __init__(self, dated: Mapping[str, int] | None = None) -> None:
        self._steps: dict[str, int] = {}
        self._ids: dict[int, list[str]] = {}
        for name, step in (dated or {}).items():
            self.add(name, step)

    def add(self, name: str, step: int) -> None:
        """Remember an id; one that is remembered keeps its step."""
        if name not in self._steps:
            self._steps[name] = step
            self._ids.setdefault(step, []).append(name)

    def __contains__(self, name: str) -> bool:
        return name in self._steps

    def forget(self, before: int) -> None:
        """Let go of all ids of earlier steps."""
        for step in earlier(self._ids, before):
            for name in self._ids.pop(step):
                del self._steps[name]

    def state(self) -> dict[str, int]:
        """Each id and its step, to be written at once: they go on in the same object."""
        return self._steps


def earlier(steps: Iterable[int], than: int) -> list[int]:
    """Those of these steps that come before another."""
    return [step for step in steps if step < than]
