"""Which worker is given what: the state machine, driven by hand with a clock of our own."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox_wasm.channel import Answer, ChannelError
from sandbox_wasm.protocol import Limits, Outcome, RunJob, RunResult, Value
from sandbox_wasm.schedule import BYTES_AHEAD, FEWEST_AHEAD, MOST_AHEAD, STALL_SECONDS, Schedule
from sandbox_wasm.ticket import Piece, Ticket

GRACE = 1.0
DONE = RunResult((Outcome("ok", value=Value("1", "1", "1")),))


def pieces(count: int, *, wall: float = 1.0, size: int = 0) -> list[Piece]:
    job = RunJob(program="#" * size, inputs=("1",), limits=Limits(wall_seconds=wall))
    return [piece for _ in range(count) for piece in Ticket(job, lambda _: None).first_pieces()]


def schedule_with(*workers: int) -> Schedule:
    schedule = Schedule(GRACE)
    for worker in workers:
        schedule.worker_ready(worker)
    return schedule


def answer(number: int, seconds: float = 0.001) -> Answer:
    return Answer(number, seconds, DONE)


def test_nothing_is_handed_out_before_a_worker_is_ready() -> None:
    schedule = schedule_with()
    schedule.submit(pieces(3))
    assert schedule.hand_out(0.0) == {}
    schedule.worker_ready(1)
    assert [piece for _, piece in schedule.hand_out(0.0)[1]]


def test_few_pieces_are_spread_over_all_workers() -> None:
    schedule = schedule_with(1, 2, 3)
    schedule.submit(pieces(3))
    given = schedule.hand_out(0.0)
    assert {worker: len(parts) for worker, parts in given.items()} == {1: 1, 2: 1, 3: 1}


def test_a_worker_holds_more_when_pieces_turn_out_short_and_never_more_than_the_bound() -> None:
    schedule = schedule_with(1)
    schedule.submit(pieces(2000))
    (number, _), *rest = schedule.hand_out(0.0)[1]
    assert len(rest) + 1 <= 10 * FEWEST_AHEAD  # while nothing is known of how long pieces take
    held = [number, *(number for number, _ in rest)]
    for tick in range(400):
        schedule.answered(1, answer(held.pop(0), seconds=1e-4), tick * 1e-4)
        held += [number for number, _ in schedule.hand_out(tick * 1e-4).get(1, [])]
        assert len(held) <= MOST_AHEAD
    assert len(held) > MOST_AHEAD // 2


def test_large_jobs_do_not_pile_up_in_a_workers_socket() -> None:
    schedule = schedule_with(1)
    schedule.submit(pieces(8, size=BYTES_AHEAD))
    assert len(schedule.hand_out(0.0)[1]) == 1


def test_what_waits_behind_a_slow_head_goes_to_somebody_else_and_is_run_once() -> None:
    schedule = schedule_with(1, 2)
    slow, waiting = pieces(2)
    schedule.submit([slow, waiting])
    schedule.worker_died(2, "")  # the second worker comes later
    (first, _), (second, _) = schedule.hand_out(0.0)[1]
    schedule.worker_ready(2)
    assert schedule.revoke(STALL_SECONDS / 2) == {}
    late = STALL_SECONDS * 1.1
    assert schedule.revoke(late) == {1: [second]}
    assert schedule.revoke(late) == {}
    ((elsewhere, given),) = schedule.hand_out(late)[2]
    assert given is waiting
    assert schedule.answered(2, answer(elsewhere), late) is waiting.ticket
    assert schedule.answered(1, answer(first), late) is slow.ticket
    assert schedule.answered(1, Answer(second, 0.0, None), late) is None


def test_a_revoked_piece_that_was_run_all_the_same_counts_once() -> None:
    schedule = schedule_with(1, 2)
    schedule.worker_died(2, "")
    slow, waiting = pieces(2)
    schedule.submit([slow, waiting])
    (first, _), (second, _) = schedule.hand_out(0.0)[1]
    schedule.worker_ready(2)
    schedule.revoke(1.0)
    assert schedule.answered(1, answer(first), 1.0) is slow.ticket
    assert schedule.answered(1, answer(second), 1.0) is waiting.ticket
    assert schedule.hand_out(1.0) == {}, "it was pending again, and need not be run a second time"


def test_a_single_worker_is_given_work_and_keeps_it_however_long_its_head_takes() -> None:
    schedule = schedule_with(1)
    schedule.submit(pieces(2))
    schedule.hand_out(0.0)
    assert schedule.revoke(10 * STALL_SECONDS) == {}


def test_a_stalled_worker_is_given_nothing_while_there_are_others() -> None:
    schedule = schedule_with(1, 2)
    schedule.submit(pieces(2))
    schedule.hand_out(0.0)
    schedule.answered(2, answer(2), 0.01)
    schedule.submit(pieces(5))
    assert set(schedule.hand_out(1.0)) == {2}


def test_a_head_is_overdue_once_its_limits_and_the_grace_have_passed() -> None:
    schedule = schedule_with(1)
    schedule.submit(pieces(1, wall=2.0))
    schedule.hand_out(10.0)
    assert schedule.next_moment() == 10.0 + 2.0 + GRACE
    assert schedule.overdue(12.9) == []
    assert schedule.overdue(13.0) == [(1, 3.0)]


def test_the_clock_of_a_piece_starts_when_the_one_before_it_is_answered() -> None:
    schedule = schedule_with(1)
    schedule.submit(pieces(2, wall=2.0))
    (first, _), _ = schedule.hand_out(0.0)[1]
    schedule.answered(1, answer(first), 2.5)
    assert schedule.overdue(5.4) == []
    assert schedule.overdue(5.5) == [(1, 3.0)]


def test_when_a_worker_dies_its_head_is_asked_once_more_and_the_rest_goes_back_in_order() -> None:
    schedule = schedule_with(1)
    head, second, later = pieces(3)
    schedule.submit([head, second, later])
    assert len(schedule.hand_out(0.0)[1]) == FEWEST_AHEAD
    assert schedule.worker_died(1, "died") == []
    schedule.worker_ready(2)
    again = [piece for _, piece in schedule.hand_out(1.0)[2]]
    assert again[0].ticket is head.ticket
    assert again[0].attempt == 2
    assert again[1:] == [second]
    assert schedule.worker_died(2, "died again") == [head.ticket]
    assert head.ticket.result == RunResult((Outcome("crashed", error="died again"),))


def test_a_cancelled_ticket_is_not_handed_out_and_its_answer_is_dropped() -> None:
    schedule = schedule_with(1)
    running, waiting = pieces(2)
    schedule.submit([running])
    ((number, _),) = schedule.hand_out(0.0)[1]
    schedule.submit([waiting])
    schedule.cancel([running.ticket, waiting.ticket])
    assert schedule.pending == 0
    assert schedule.answered(1, answer(number), 0.1) is None


@pytest.mark.parametrize(
    "nonsense",
    [Answer(99, 0.0, DONE), Answer(1, 0.0, None), Answer(1, 0.0, RunResult(()))],
    ids=["a number that was not given", "skipped though not revoked", "too few outcomes"],
)
def test_a_worker_that_breaks_the_protocol_is_found_out(nonsense: Answer) -> None:
    schedule = schedule_with(1)
    schedule.submit(pieces(1))
    schedule.hand_out(0.0)
    with pytest.raises(ChannelError):
        schedule.answered(1, nonsense, 0.1)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.floats(0.0, 0.2)), max_size=120), st.integers(1, 40))
def test_whatever_happens_every_ticket_is_settled_exactly_once(events: list[tuple[int, float]], count: int) -> None:
    schedule = schedule_with(0, 1, 2)
    work = pieces(count)
    schedule.submit(work)
    held: dict[int, list[int]] = {0: [], 1: [], 2: []}
    revoked: set[int] = set()
    settled: list[Ticket] = []
    now, next_worker = 0.0, 3

    def hand_out() -> None:
        for worker, numbers in schedule.revoke(now).items():
            assert set(numbers) <= set(held[worker])
            revoked.update(numbers)
        for worker, parts in schedule.hand_out(now).items():
            held[worker] += [number for number, _ in parts]

    def answer_first(worker: int, *, skip: bool) -> None:
        number = held[worker].pop(0)
        reply = Answer(number, 0.0, None) if skip and number in revoked else answer(number)
        if (ticket := schedule.answered(worker, reply, now)) is not None:
            settled.append(ticket)

    for choice, passed in events:
        now += passed
        hand_out()
        worker = sorted(held)[choice % 3]
        if choice >= 4:
            settled += schedule.worker_died(worker, "died")
            del held[worker]
            held[next_worker] = []
            schedule.worker_ready(next_worker)
            next_worker += 1
        elif held[worker]:
            answer_first(worker, skip=choice == 3)
    for _ in range(10 * count + 100):
        hand_out()
        for worker in [worker for worker, numbers in held.items() if numbers]:
            answer_first(worker, skip=True)
    assert len(settled) == len({id(ticket) for ticket in settled}) == count
    assert all(ticket.settled for ticket in settled)
