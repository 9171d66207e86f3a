"""Calls to a service that outlast its death: asked again until it answers or the time is over.

Used by the clients. A service's actor is restarted by Ray; until it stands again calls to it fail at once, and what was
on its way is lost. All calls may be repeated (see the services), so whoever calls simply asks again.

      call ──► actor ──✕ died ── wait a little ──► (restarting: fails at once, wait) ──► actor, restarted ──► answer

Who waits: the caller, for `deadline` seconds at most in all; `ServiceError` then names the service, the method and
what was last heard. What the service itself raises is raised at once, and so is what its actor raised in being made:
Ray makes no other then.
"""

from __future__ import annotations

import asyncio
import re
import time
from typing import Any

import ray
from ray.exceptions import ActorDiedError, GetTimeoutError, RayActorError, RayError, RayTaskError

from azr.errors import AzrError

#: First and longest wait between two tries.
FIRST_SECONDS, LONGEST_SECONDS = 0.05, 1.0


#: The last line of a traceback up to what was raised; and what terminals are told between.
_RAISED, _COLOURS = re.compile(r"^[A-Za-z_][\w.]*: ", re.MULTILINE), re.compile(r"\x1b\[[0-9;]*m")


class ServiceError(AzrError):
    """A service did not answer in time."""


class Service:
    """One shard, as its callers hold it. Travels to other processes.

    It holds the actor's name and not a handle: arguments that hold handles are kept in the object store, and an actor
    that Ray restarts can lose them there. Whoever started the actor keeps it alive by its own handle.
    """

    def __init__(self, name: str, actor_name: str, deadline: float) -> None:
        """`name` is for people, `actor_name` is the one under which Ray knows the actor."""
        self.name = name
        self.actor_name = actor_name
        self.deadline = deadline
        self._actor: Any = None

    def __reduce__(self) -> tuple[type[Service], tuple[str, str, float]]:
        return type(self), (self.name, self.actor_name, self.deadline)

    @property
    def actor(self) -> Any:
        """The handle, looked up once in each process."""
        if self._actor is None:
            self._actor = ray.get_actor(self.actor_name)
        return self._actor

    async def ask(self, method: str, *arguments: Any, wait_seconds: float = 0.0, mark_again: bool = False) -> Any:
        """Call without blocking the event loop; `wait_seconds` is how long the service may take on purpose.

        With `mark_again` a last argument tells the service whether it is asked again.
        """
        tries = _Tries(self, method, wait_seconds)
        while True:
            try:
                reference = self._send(method, arguments, tries, mark_again)
                return await asyncio.wait_for(_answer(reference), tries.left())
            except (RayActorError, TimeoutError) as error:
                await asyncio.sleep(tries.again(error))
            except RayTaskError as error:
                raise cause_of(error) from None

    def call(self, method: str, *arguments: Any, wait_seconds: float = 0.0, mark_again: bool = False) -> Any:
        """Call and block."""
        tries = _Tries(self, method, wait_seconds)
        while True:
            try:
                return ray.get(self._send(method, arguments, tries, mark_again), timeout=tries.left())
            except (RayActorError, GetTimeoutError) as error:
                time.sleep(tries.again(error))
            except RayTaskError as error:
                raise cause_of(error) from None

    def _send(self, method: str, arguments: tuple[Any, ...], tries: _Tries, mark_again: bool) -> Any:
        marks = (tries.count > 0,) if mark_again else ()
        return getattr(self.actor, method).remote(*arguments, *marks)


class _Tries:
    """The tries of one call."""

    def __init__(self, service: Service, method: str, wait_seconds: float) -> None:
        self._service, self._method = service, method
        self._began = time.monotonic()
        self._seconds = service.deadline + wait_seconds
        self._pause = FIRST_SECONDS
        self.count = 0

    def left(self) -> float:
        return max(0.001, self._began + self._seconds - time.monotonic())

    def again(self, error: BaseException) -> float:
        """Seconds to wait before the next try; raises when the time is over, or there is nobody to be waited for."""
        if (never := never_began(self._service.name, error)) is not None:
            raise never from error
        self.count += 1
        pause, self._pause = self._pause, min(self._pause * 2, LONGEST_SECONDS)
        if time.monotonic() + pause >= self._began + self._seconds or _is_gone(error):
            raise ServiceError(
                f"{self._service.name} did not answer `{self._method}` in {time.monotonic() - self._began:.0f} s and "
                f"{self.count} tries (last: {type(error).__name__})",
                "its log in the run's folder says why; the disk may be full, or the machine overloaded",
            ) from error
        return pause


def _is_gone(error: BaseException) -> bool:
    """Whether the actor will never come back: it was ended on purpose."""
    return isinstance(error, ActorDiedError) and "ray.kill" in str(error)


def never_began(name: str, error: BaseException) -> ServiceError | None:
    """What an actor raised in being made, as it said it; None for another error, after which Ray may restart it."""
    if not isinstance(error, RayActorError) or not error.actor_init_failed:
        return None
    said = _RAISED.split(_COLOURS.sub("", str(error)))[-1]
    what, _, mend = said.strip().partition("\n  mend: ")
    return ServiceError(f"{name} cannot begin: {what}", mend or "its log in the run's folder says more")


def cause_of(error: RayError) -> BaseException:
    """What the service raised, as it raised it."""
    cause = getattr(error, "cause", None)
    return cause if isinstance(cause, BaseException) else error


async def _answer(reference: Any) -> Any:
    return await reference
