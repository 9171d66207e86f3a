"""Who of a run's actors has been silent for too long. Pure; asked by the driver at each of its rounds.

Actors are restarted by Ray, and what they held comes back by itself; so silence is no error at first. Whoever stays
silent past its patience is gone for good (it dies whenever it starts, or its machine is gone): the run ends, naming it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from azr.errors import AzrError


class PartLostError(AzrError):
    """An actor did not come back."""


class Silent(NamedTuple):
    """An actor that does not answer, and since when."""

    name: str
    seconds: float


class Supervision:
    """Remembers when each actor was last heard."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._heard: dict[str, float] = {}
        self._missed: dict[str, float] = {}
        self.returns: dict[str, int] = {}
        """How often each came back after a silence."""

    @property
    def silent(self) -> list[str]:
        """Who was silent in the last round."""
        return list(self._missed)

    def round(self, answered: Iterable[str], asked: Iterable[str], now: float) -> list[Silent]:
        """What this round of questions found; those silent now, longest first. Raises when one is silent too long."""
        here = set(answered)
        for name in asked:
            if name in here:
                if name in self._missed:
                    self.returns[name] = self.returns.get(name, 0) + 1
                    del self._missed[name]
                self._heard[name] = now
            else:
                self._missed.setdefault(name, self._heard.get(name, now))
        silent = sorted(
            (Silent(name, now - since) for name, since in self._missed.items()), key=lambda one: -one.seconds
        )
        lost = [one for one in silent if one.seconds > self._patience]
        if lost:
            who = ", ".join(f"{one.name} ({one.seconds:.0f} s)" for one in lost)
            raise PartLostError(
                f"no answer from {who}: it died and did not come back",
                "its log in the run's folder says why; azr train --resume goes on from the newest checkpoint",
            )
        return silent
