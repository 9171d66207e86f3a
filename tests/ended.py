"""A termination in the midst of a command that runs in the tests' own process."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator

import pytest


@contextlib.contextmanager
def ended_in(target: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Within the block a SIGTERM arrives where the function of that name is called; the command must hear it."""

    def ended(*_arguments: object) -> None:
        assert signal.getsignal(signal.SIGTERM) != signal.SIG_DFL, "it would end the tests, too"
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(target, ended)
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)  # Ray, where a test began it, leaves a handler of its own
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
