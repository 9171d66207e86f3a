"""A transport that hangs is left behind at its deadline; one that does not is not noticed at all."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor

from actors.weights.records import Member, Order
from actors.weights.transports import bounded
from actors.weights.transports.base import Fleet
from actors.weights.transports.bounded import carry_in_time
from azr.game.types import Version

WEIGHTS: Mapping[str, Tensor] = {"w": torch.ones(1)}


class Replicas:
    """Two of them, and a deadline."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.members = (Member(name="a", state="serving"), Member(name="b", state="serving"))

    def give(self, order: Order) -> int:
        return order.number

    def carried_out(self, number: int) -> None:
        raise AssertionError(number)

    def seconds_left(self) -> float:
        return self.seconds


class Transport:
    """Does what it is told, and notes whether it was closed."""

    def __init__(self, act: Callable[[], int]) -> None:
        self._act = act
        self.closed = threading.Event()

    def carry(self, version: Version, checksum: str, tensors: Mapping[str, Tensor], fleet: Fleet) -> int:
        assert (version, checksum, tensors) == (Version(0, 1), "sum", WEIGHTS)
        return self._act()

    def close(self) -> None:
        self.closed.set()


def _carry(transport: Transport, seconds: float = 30.0) -> int:
    return carry_in_time(transport, Version(0, 1), "sum", WEIGHTS, Replicas(seconds))


@pytest.fixture(autouse=True)
def _no_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "_GRACE_SECONDS", 0.1)


def test_the_order_it_answers_with_is_the_answer() -> None:
    transport = Transport(lambda: 7)
    assert _carry(transport) == 7
    assert not transport.closed.is_set()


def test_what_it_raises_is_raised() -> None:
    def fails() -> int:
        raise ConnectionError("replica-b hung up")

    with pytest.raises(ConnectionError, match="replica-b hung up"):
        _carry(Transport(fails))


def test_one_that_hangs_is_closed_at_its_deadline_and_the_replicas_are_named() -> None:
    """Closing lets go of it, as the abort of a communicator lets go of who waits in it."""
    ended = threading.Event()

    def hangs() -> int:
        transport.closed.wait(60)
        ended.set()
        return 1

    transport = Transport(hangs)
    with pytest.raises(RuntimeError, match=r"sending to a, b did not end within 0 s"):
        _carry(transport, seconds=0.2)
    assert ended.wait(10)


def test_one_whose_closing_hangs_as_well_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "_CLOSE_SECONDS", 0.1)
    release = threading.Event()
    transport = Transport(lambda: int(release.wait(60)))
    monkeypatch.setattr(transport, "close", lambda: release.wait(60))
    began = time.monotonic()
    with pytest.raises(RuntimeError, match="did not end"):
        _carry(transport, seconds=0.1)
    assert time.monotonic() - began < 30
    release.set()
