"""Waiting for something to become so, with a deadline that says what it was."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


async def until(condition: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    """Look every few milliseconds."""
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, f"{what}: not within {seconds:g} s"
        await asyncio.sleep(0.002)


def until_now(condition: Callable[[], bool], what: str, seconds: float = 60.0) -> float:
    """The same without an event loop; the answer: how long it took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() < began + seconds, f"{what}: not within {seconds:g} s"
        time.sleep(0.02)
    return time.monotonic() - began
