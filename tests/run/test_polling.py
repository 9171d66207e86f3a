"""A question that fails or hangs stays with its thread; the last answer stands, with its time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from azr.errors import AzrError
from azr.run.polling import Poll


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_answers_come_again_and_each_is_heard_once() -> None:
    heard: list[int] = []
    numbers = iter(range(1000))
    poll = Poll("engines", lambda: next(numbers), seconds=0.001, heard=heard.append)
    poll.start()
    until(lambda: len(heard) >= 3)
    poll.close()
    assert heard == list(range(len(heard)))
    assert poll.latest == heard[-1]


def test_a_failure_keeps_the_last_answer_and_is_told_until_the_next() -> None:
    answers: list[str | Exception] = ["fine", ConnectionError("gone"), "fine again"]
    go = threading.Semaphore(0)

    def ask() -> str:
        go.acquire()
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    poll = Poll("engines", ask, seconds=0.001)
    poll.start()
    go.release()
    until(lambda: poll.latest == "fine")
    at = poll.at
    go.release()
    until(lambda: poll.error == "ConnectionError: gone")
    assert (poll.latest, poll.at) == ("fine", at)
    go.release()
    until(lambda: poll.latest == "fine again")
    assert poll.error == ""
    assert poll.at >= at
    poll.close(0.01)


def test_an_error_that_a_person_can_mend_is_told_by_what_it_is_and_on_one_line() -> None:
    def ask() -> None:
        raise AzrError("1 of 1 engines to serve", "look into their logs")

    poll = Poll("engines", ask, seconds=0.001)
    poll.start()
    until(lambda: bool(poll.error))
    poll.close()
    assert poll.error == "1 of 1 engines to serve"


def test_a_question_that_hangs_does_not_hold_the_end_up() -> None:
    gate = threading.Event()
    poll = Poll("engines", lambda: gate.wait(20), seconds=0.001)
    poll.start()
    began = time.monotonic()
    poll.close(0.05)
    assert time.monotonic() - began < 5.0
    gate.set()
