"""What a journal refuses is asked again until it is taken: a full disk costs a run time and nothing else. On rank 0.

Called by the batch source and by whoever hands weights on, around each call that a service writes down before it
answers. All such calls may be repeated.

    act ──✕ JournalError ── said: whose disk, and what waits ── a second ──► act ── … ──► taken: as if nothing had been
                               ├── the caller gives up (the run ends) ──────────────────► the refusal is raised
                               └── `run.batch_seconds` are over ── the hub is told ─────► the refusal is raised

Who waits: the learner, for whoever makes room on the disk that the refusal names, `run.batch_seconds` at most. The run
ends by what the hub is told then, before ranks could be restarted into the same refusal.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol, TypeVar

from azr.journal.journal import JournalError

Result = TypeVar("Result")

#: Between two tries.
TRY_SECONDS = 1.0
#: A refusal is said at once, and again when it has lasted so long, and at each doubling.
SAY_SECONDS = 60.0


class Told(Protocol):
    """Who hears of refusals; the hub."""

    def say(self, line: str) -> None:
        """Something a person should read."""
        ...

    def fail(self, why: str, mend: str) -> None:
        """The run cannot go on."""
        ...


class Insistence:
    """Asks again for as long as `seconds`."""

    def __init__(
        self,
        hub: Told,
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._hub, self._seconds, self._clock, self._sleep = hub, seconds, clock, sleep

    def __call__(self, what: str, act: Callable[[], Result], given_up: Callable[[], bool] = lambda: False) -> Result:
        """The result of `act`, once no journal refuses it. `what` waits for that, in words; `given_up` is asked before
        each further try, and may raise what makes waiting vain."""
        since: float | None = None
        say_at = 0.0
        while True:
            try:
                return act()
            except JournalError as refusal:
                now = self._clock()
                since = now if since is None else since
                waited = now - since
                if given_up():
                    raise
                if waited >= self._seconds:
                    self._hub.fail(
                        f"{what} waited {waited:.0f} s in vain: {refusal.what}",
                        f"{refusal.mend}; azr train --resume goes on from the newest checkpoint",
                    )
                    raise
                if waited >= say_at:
                    lasted = f" for {waited:.0f} s" if say_at else ""
                    self._hub.say(f"{what} waits{lasted}: {refusal.what}")
                    say_at = max(SAY_SECONDS, 2 * waited)
            self._sleep(TRY_SECONDS)
