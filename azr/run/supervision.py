"""Which of a run's actors have been silent for too long. Pure; asked by the driver at each of its rounds.

Actors are restarted by Ray, and what they held comes back by itself; so silence is no error at first. Whoever stays
silent past its patience is gone for good (it dies whenever it starts, or its machine is gone): the run ends, naming it.

What a person hears: who is silent and why, at first and whenever it has lasted twice as long; and who answers again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from azr.errors import AzrError

#: A silence is said at once, and again when it has lasted so long, and at each doubling.
SAY_SECONDS = 60.0


class PartLostError(AzrError):
    """An actor did not come back."""


class Silent(NamedTuple):
    """An actor that does not answer, and since when."""

    name: str
    seconds: float


class Patience(NamedTuple):
    """How long an actor may be silent, the key that says so, and what to do when it is for longer."""

    seconds: float
    key: str
    mend: str = "its log in the run's folder says why; on a slow machine raise {key}"


class Supervision:
    """Remembers when each actor was last heard."""

    def __init__(self, patience: Patience, others: Mapping[str, Patience] | None = None) -> None:
        """`others` have a patience of their own, by name."""
        self._patience, self._others = patience, dict(others or {})
        self._say_at: dict[str, float] = {}
        """Seconds of silence at which one who is silent is said next."""
        self._heard: dict[str, float] = {}
        self._missed: dict[str, float] = {}
        self.returns: dict[str, int] = {}
        """How often each came back after a silence."""

    def news(
        self, answered: Iterable[str], asked: Iterable[str], now: float, why: Mapping[str, str] | None = None
    ) -> list[str]:
        """A round, and what a person should hear of it; `why` is what is known of those that do not answer."""
        before, why, lines = dict(self.returns), why or {}, []
        for one in self.round(answered, asked, now, why):
            if one.seconds < self._say_at.get(one.name, 0.0):
                continue
            since = f" for {one.seconds:.0f} s" if one.name in self._say_at else ""
            self._say_at[one.name] = max(SAY_SECONDS, 2 * one.seconds if since else 0.0)
            patience = self._patience_with(one.name)
            told = f"; {why[one.name]}" if why.get(one.name) else ""
            lines.append(
                f"{one.name} does not answer{since}; waiting for it to come back, "
                f"{patience.seconds:.0f} s at most ({patience.key}){told}"
            )
        for name, count in self.returns.items():
            if count > before.get(name, 0):
                self._say_at.pop(name, None)
                lines.append(f"{name} answers again")
        return lines

    def round(
        self, answered: Iterable[str], asked: Iterable[str], now: float, why: Mapping[str, str] | None = None
    ) -> list[Silent]:
        """What this round of questions found; those silent now, longest first. Raises when one is silent too long."""
        here, asked = set(answered), list(asked)
        for name in self._missed.keys() - set(asked):  # ended on purpose: nobody waits for it any more
            del self._missed[name]
            self._say_at.pop(name, None)
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
        lost = [one for one in silent if one.seconds > self._patience_with(one.name).seconds]
        if lost:
            told = {one: f": {why[one.name]}" if why and why.get(one.name) else "" for one in lost}
            who = ", ".join(f"{one.name} ({one.seconds:.0f} s{told[one]})" for one in lost)
            patiences = {self._patience_with(one.name) for one in lost}
            mends = sorted(patience.mend.format(key=patience.key) for patience in patiences)
            raise PartLostError(
                f"no answer from {who}: it is gone and did not come back",
                f"{'; '.join(mends)}; azr train --resume goes on from the newest checkpoint",
            )
        return silent

    def _patience_with(self, name: str) -> Patience:
        return self._others.get(name, self._patience)
