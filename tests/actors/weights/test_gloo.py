"""Weights broadcast by gloo between real processes: what was sent arrives, and a dead member ends it in time."""

from __future__ import annotations

import multiprocessing
import os
import time
from multiprocessing.connection import Connection
from typing import Any

import pytest
import torch

from actors.weights.fingerprint import fingerprint
from actors.weights.records import Member, Order
from actors.weights.transports import gloo
from actors.weights.transports.base import engines_of, ranks_of
from actors.weights.transports.gloo import GlooBroadcast, layout, receive_broadcast
from azr.game.types import Version


def _weights(step: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(step)
    return {
        "table": torch.randn(33, 7, generator=generator),
        "halves": torch.randn(11, generator=generator).to(torch.bfloat16),
        "counts": torch.arange(3),
        "scalar": torch.tensor(float(step)),
    }


def _worker(orders: Connection) -> None:
    """Receives what it is told to, and answers with the checksum; or dies."""
    while True:
        told: Any = orders.recv()
        if told is None:
            return
        if told == "die":
            os._exit(1)
        try:
            orders.send(fingerprint(receive_broadcast(told, 0)))
        except Exception as error:
            orders.send(f"failed: {type(error).__name__}")


class Fleet:
    """Workers in processes of their own, in the place of replicas."""

    def __init__(self, names: str, seconds: float = 30.0) -> None:
        self.workers: dict[str, tuple[Any, Connection]] = {}
        self.seconds = seconds
        for name in names:
            self.add(name)

    def add(self, name: str) -> None:
        """One more."""
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_worker, args=(theirs,))
        process.start()
        self.workers[name] = (process, ours)

    @property
    def members(self) -> tuple[Member, ...]:
        return tuple(
            Member(name=name, state="serving", engine_pids=(process.pid,))
            for name, (process, _) in sorted(self.workers.items())
        )

    def give(self, order: Order) -> int:
        self.last = order
        if order.action == "gloo":
            for name, (process, pipe) in self.workers.items():
                if process.is_alive():
                    pipe.send(order.info | order.details[name])
        return 1

    def carried_out(self, number: int) -> None:
        raise AssertionError("gloo needs no order to be carried out before it sends")

    def seconds_left(self) -> float:
        return self.seconds

    def answers(self) -> dict[str, str]:
        """What each worker said."""
        said = {}
        for name, (process, pipe) in self.workers.items():
            if process.is_alive():
                assert pipe.poll(40), f"{name} did not answer"
                said[name] = pipe.recv()
        return said

    def close(self) -> None:
        for process, pipe in self.workers.values():
            if process.is_alive():
                pipe.send(None)
            process.join(10)
            if process.is_alive():
                process.kill()
                process.join(10)


def test_all_receive_what_was_sent_also_when_the_group_changes_and_when_a_member_dies() -> None:
    fleet = Fleet("ab")
    sender = GlooBroadcast("127.0.0.1")
    try:
        for step in range(2):
            weights = _weights(step)
            sender.carry(Version(0, step), "", weights, fleet)
            assert set(fleet.answers().values()) == {fingerprint(weights.items())}
        first_group = fleet.last.info["group"]

        fleet.add("c")  # another fleet, another group
        weights = _weights(5)
        sender.carry(Version(0, 5), "", weights, fleet)
        assert fleet.answers() == dict.fromkeys("abc", fingerprint(weights.items()))
        assert fleet.last.info["group"] != first_group

        process, pipe = fleet.workers["b"]
        pipe.send("die")
        process.join(10)
        fleet.seconds = 5.0
        began = time.monotonic()
        with pytest.raises(Exception, match=r"."):
            for step in range(6, 9):  # the first message after a death may still fit into a buffer
                sender.carry(Version(0, step), "", _weights(step), fleet)
                fleet.answers()
        assert time.monotonic() - began < 60

        fleet.workers.pop("b")
        for _, pipe in fleet.workers.values():
            while pipe.poll(0.5):
                pipe.recv()  # failures of the broken group
        fleet.seconds = 30.0
        weights = _weights(9)
        sender.carry(Version(0, 9), "", weights, fleet)
        assert fleet.answers() == dict.fromkeys("ac", fingerprint(weights.items()))
    finally:
        sender.close()
        fleet.close()


def test_without_replicas_the_file_is_all_there_is() -> None:
    fleet = Fleet("")
    GlooBroadcast("127.0.0.1").carry(Version(0, 1), "sum", _weights(1), fleet)
    assert (fleet.last.action, fleet.last.version, fleet.last.checksum) == ("file", Version(0, 1), "sum")


class TestLayout:
    def test_tensors_lie_behind_each_other_at_multiples_of_sixteen(self) -> None:
        [bucket] = layout([("a", "float32", (3,)), ("b", "bfloat16", (9,)), ("c", "float32", ())])
        assert [(place.start, place.size) for place in bucket.places] == [(0, 12), (16, 18), (48, 4)]
        assert bucket.size == 64

    def test_a_message_is_closed_before_it_grows_too_large(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(gloo, "_BUCKET", 32)
        table = [("a", "float32", (4,)), ("b", "float32", (4,)), ("c", "float32", (100,)), ("d", "float32", (1,))]
        assert [[place.name for place in bucket.places] for bucket in layout(table)] == [["a", "b"], ["c"], ["d"]]

    def test_nothing_makes_no_message(self) -> None:
        assert layout([]) == []


def test_each_replica_has_ranks_of_its_own() -> None:
    """vLLM's sender tells every engine the offset 1."""
    members = (Member(name="a", workers=2), Member(name="b", workers=1), Member(name="c", workers=4))
    assert ranks_of(members) == ({"a": 1, "b": 3, "c": 4}, 8)


def test_a_replica_that_made_a_new_engine_makes_a_group_another_one() -> None:
    """It keeps its name, but the new engine is in no group yet."""
    before = (Member(name="a", engine_pids=(11,)), Member(name="b", engine_pids=(12,)))
    assert engines_of(before) == engines_of(before)
    assert engines_of((before[0], Member(name="b", engine_pids=(13,)))) != engines_of(before)
