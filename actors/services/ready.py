"""Waiting for actors that were just started: until each answers, in short pieces between which others are heard.

Called where services and players are started, by whoever has a deadline and more to look after than these actors.

      actors ── ready? ──► answered ─► fewer to wait for
        └── died, and Ray makes it again ─► asked again          every piece: `now(who is missing)`, `remaining()`
        └── raised in being made ─► its error, at once                        └── raises at the deadline, at a signal

Who waits: the caller, as long as its `remaining` says; without one, for so many seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import ray
from ray.exceptions import RayActorError, RayTaskError

from actors.services.calls import ServiceError, cause_of, never_began

#: One wait; between two of them a signal, a dead Ray and a failed learner are heard.
PIECE_SECONDS = 0.5


def until_ready(
    actors: Mapping[str, Any],
    seconds: float,
    *,
    remaining: Callable[[], float] | None = None,
    now: Callable[[str], None] = lambda _missing: None,
) -> None:
    """Wait until all actors, handles by name, answer `ready`.

    `now` hears the names of those that are missing; `remaining` tells the seconds that may still be waited for, or
    raises. Where there is none, `seconds` are waited for at most.
    """
    ends = time.monotonic() + seconds
    waiting = {actor.ready.remote(): name for name, actor in actors.items()}
    while waiting:
        missing = ", ".join(sorted(waiting.values()))
        now(missing)
        left = remaining() if remaining else ends - time.monotonic()
        if left <= 0.0:
            raise ServiceError(f"not ready within {seconds:g} s: {missing}", "their logs in the run's folder say why")
        answered, _ = ray.wait(list(waiting), num_returns=len(waiting), timeout=min(PIECE_SECONDS, left))
        for reference in answered:
            name = waiting.pop(reference)
            try:
                ray.get(reference)
            except RayTaskError as error:
                raise cause_of(error) from None
            except RayActorError as error:
                if (never := never_began(name, error)) is not None:
                    raise never from error
                time.sleep(PIECE_SECONDS)
                waiting[actors[name].ready.remote()] = name
