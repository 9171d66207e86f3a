"""The publishing thread beside a loop: it never holds a step up, and its errors reach whoever must act."""

from __future__ import annotations

import threading
import time

import pytest

from learner.weights import Publisher, PublishingFailedError, Weights


def test_a_slow_publication_holds_nobody_up_and_the_newest_wins() -> None:
    gate, seen = threading.Event(), []

    def publish(step: int, _weights: Weights) -> None:
        seen.append(step)
        gate.wait(10)

    publisher = Publisher(publish, deadline=10)
    publisher.offer(1, {})
    while seen != [1]:
        time.sleep(0.001)
    started = time.perf_counter()
    publisher.offer(2, {})
    publisher.offer(3, {})
    assert time.perf_counter() - started < 1.0
    gate.set()
    publisher.close()
    assert seen == [1, 3]


def test_an_error_reaches_the_loop_at_its_next_call() -> None:
    def publish(_step: int, _weights: Weights) -> None:
        raise ConnectionError("replica 2 is gone")

    publisher = Publisher(publish, deadline=10)
    publisher.offer(1, {})
    with pytest.raises(PublishingFailedError, match="replica 2 is gone"):
        publisher.close()


def test_an_error_reaches_whoever_asks_for_it_while_nothing_is_offered() -> None:
    failed = threading.Event()

    def publish(_step: int, _weights: Weights) -> None:
        failed.set()
        raise ConnectionError("the registry is gone")

    publisher = Publisher(publish, deadline=10)
    publisher.check()
    publisher.offer(0, {})
    assert failed.wait(10)
    publisher._thread.join(10)
    for _ in range(2):
        with pytest.raises(PublishingFailedError, match="publishing weights failed: the registry is gone"):
            publisher.check()


def test_a_publication_that_hangs_is_named_at_the_deadline() -> None:
    gate = threading.Event()

    def publish(_step: int, _weights: Weights) -> None:
        gate.wait(10)

    publisher = Publisher(publish, deadline=0.05)
    publisher.offer(1, {})
    with pytest.raises(PublishingFailedError, match=r"did not end within 0\.05 s"):
        publisher.close()
    gate.set()
