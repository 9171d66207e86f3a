"""What is asked of workers, what is asked again, and when a job is settled."""

from __future__ import annotations

import pytest

from sandbox_wasm.channel import MAX_FRAME_BYTES, Answer, decode_job, frame
from sandbox_wasm.protocol import (
    InspectJob,
    InspectResult,
    Job,
    JobResult,
    Limits,
    LiteralJob,
    LiteralResult,
    Outcome,
    RunJob,
    RunResult,
    Value,
)
from sandbox_wasm.ticket import LARGEST_JOB_BYTES, Piece, Ticket, wall_seconds

OK = {text: Outcome("ok", value=Value(text, text, text)) for text in "abc"}
RETRY = Outcome("retry", error="wall clock", fuel=7)


def ticket_of(job: Job) -> tuple[Ticket, Piece]:
    ticket = Ticket(job, lambda _: None)
    (piece,) = ticket.first_pieces()
    return ticket, piece


def asked(piece: Piece) -> tuple[str, ...]:
    import msgspec

    job = decode_job(msgspec.Raw(piece.body))
    return job.texts if isinstance(job, LiteralJob) else job.inputs if isinstance(job, RunJob) else ()


JOB = RunJob(program="p", inputs=("a", "b", "c"))


def test_a_job_answered_at_once_is_settled_by_that_answer() -> None:
    ticket, piece = ticket_of(JOB)
    result = RunResult((OK["a"], OK["b"], OK["c"]))
    assert ticket.answered(piece, result) == []
    assert ticket.result is result


def test_only_the_inputs_that_ran_into_the_wall_clock_are_asked_again() -> None:
    ticket, piece = ticket_of(JOB)
    (again,) = ticket.answered(piece, RunResult((OK["a"], RETRY, OK["c"])))
    assert asked(again) == ("b",)
    assert not ticket.settled
    assert ticket.answered(again, RunResult((OK["b"],))) == []
    assert ticket.result == RunResult((OK["a"], OK["b"], OK["c"]))


def test_inputs_that_are_asked_again_are_so_each_by_itself_and_one_that_crashes_loses_no_other() -> None:
    ticket, piece = ticket_of(JOB)
    first, second = ticket.answered(piece, RunResult((RETRY, OK["b"], RETRY)))
    assert [asked(part) for part in (first, second)] == [("a",), ("c",)]
    assert ticket.crashed(first, "died") == []
    ticket.answered(second, RunResult((OK["c"],)))
    assert ticket.result == RunResult((Outcome("crashed", error="died"), OK["b"], OK["c"]))


def test_an_input_that_meets_the_wall_clock_twice_stays_undecided() -> None:
    ticket, piece = ticket_of(RunJob(program="p", inputs=("a",), limits=Limits(wall_seconds=3)))
    (again,) = ticket.answered(piece, RunResult((RETRY,)))
    assert ticket.answered(again, RunResult((RETRY,))) == []
    assert ticket.result == RunResult((RETRY,))


def test_a_text_whose_reading_meets_the_wall_clock_twice_stays_undecided() -> None:
    ticket, piece = ticket_of(LiteralJob(texts=("a", "b")))
    (again,) = ticket.answered(piece, LiteralResult((OK["a"], RETRY)))
    assert asked(again) == ("b",)
    assert ticket.answered(again, LiteralResult((RETRY,))) == []
    assert ticket.result == LiteralResult((OK["a"], RETRY))


def test_an_inspection_that_meets_the_wall_clock_is_asked_once_more() -> None:
    late = InspectResult(facts=None, reason="retry")
    ticket, piece = ticket_of(InspectJob(program="p"))
    (again,) = ticket.answered(piece, late)
    assert not ticket.settled
    assert ticket.answered(again, InspectResult(facts=None, reason="syntax")) == []
    assert ticket.result == InspectResult(facts=None, reason="syntax")
    ticket, piece = ticket_of(InspectJob(program="p"))
    (again,) = ticket.answered(piece, late)
    assert ticket.answered(again, late) == []
    assert ticket.result == late


def test_an_inspection_whose_worker_died_after_the_clock_ended_it_is_settled_all_the_same() -> None:
    ticket, piece = ticket_of(InspectJob(program="p"))
    (again,) = ticket.answered(piece, InspectResult(facts=None, reason="retry"))
    assert ticket.crashed(again, "died") == []
    assert ticket.result == InspectResult(facts=None, reason="crashed", detail="died")


def test_after_a_crash_each_input_is_asked_by_itself_so_that_one_does_not_lose_the_others() -> None:
    ticket, piece = ticket_of(JOB)
    first, second, third = ticket.crashed(piece, "died")
    assert [asked(part) for part in (first, second, third)] == [("a",), ("b",), ("c",)]
    ticket.answered(third, RunResult((OK["c"],)))
    assert ticket.crashed(second, "died: killed by SIGKILL") == []
    assert not ticket.settled
    ticket.answered(first, RunResult((OK["a"],)))
    assert ticket.result == RunResult((OK["a"], Outcome("crashed", error="died: killed by SIGKILL"), OK["c"]))


def test_an_answer_that_comes_twice_counts_once() -> None:
    ticket, piece = ticket_of(JOB)
    ticket.answered(piece, RunResult((OK["a"], OK["b"], OK["c"])))
    ticket.answered(piece, RunResult((OK["c"], OK["c"], OK["c"])))
    assert ticket.crashed(piece, "died") == []
    assert ticket.result == RunResult((OK["a"], OK["b"], OK["c"]))


def test_texts_are_asked_again_like_inputs() -> None:
    ticket, piece = ticket_of(LiteralJob(texts=("a", "b")))
    parts = ticket.crashed(piece, "died")
    assert [asked(part) for part in parts] == [("a",), ("b",)]
    for part, text in zip(parts, "ab", strict=True):
        ticket.answered(part, LiteralResult((OK[text],)))
    assert ticket.result == LiteralResult((OK["a"], OK["b"]))


def test_an_inspection_that_kills_two_workers_is_crashed() -> None:
    ticket, piece = ticket_of(InspectJob(program="p"))
    (again,) = ticket.crashed(piece, "died")
    assert ticket.crashed(again, "died again") == []
    assert ticket.result == InspectResult(facts=None, reason="crashed", detail="died again")


def test_a_run_without_inputs_can_crash_too() -> None:
    ticket, piece = ticket_of(RunJob(program="p", inputs=()))
    (again,) = ticket.crashed(piece, "died")
    ticket.crashed(again, "died")
    assert ticket.result == RunResult(())


@pytest.mark.parametrize(
    ("job", "result"),
    [
        (JOB, RunResult((OK["a"],))),
        (JOB, LiteralResult((OK["a"], OK["b"], OK["c"]))),
        (JOB, InspectResult(facts=None)),
        (LiteralJob(texts=("a",)), RunResult((OK["a"],))),
        (InspectJob(program="p"), RunResult(())),
    ],
)
def test_a_result_of_another_kind_or_length_does_not_fit(job: Job, result: JobResult) -> None:
    ticket, piece = ticket_of(job)
    assert not ticket.fits(result, piece)


def test_a_job_with_lone_surrogates_is_answered_without_a_worker() -> None:
    inspection = Ticket(InspectJob(program="x = '\ud800'"), lambda _: None)
    assert inspection.first_pieces() == []
    assert isinstance(inspection.result, InspectResult)
    assert inspection.result.reason == "surrogate"
    execution = Ticket(RunJob(program="p", inputs=("'\udfff'", "1")), lambda _: None)
    assert execution.first_pieces() == []
    assert isinstance(execution.result, RunResult)
    assert [outcome.status for outcome in execution.result.outcomes] == ["refused", "refused"]


def test_a_job_too_large_to_travel_is_refused_by_name_of_its_size() -> None:
    ticket = Ticket(RunJob(program=" " * LARGEST_JOB_BYTES, inputs=("1",)), lambda _: None)
    assert ticket.first_pieces() == []
    assert isinstance(ticket.result, RunResult)
    assert ticket.result.outcomes[0].status == "refused"
    assert str(LARGEST_JOB_BYTES) in ticket.result.outcomes[0].error


@pytest.mark.parametrize(("output_bytes", "portions"), [(64 << 10, [20, 20, 10]), (1 << 10, [50]), (2 << 20, [1] * 50)])
def test_a_job_of_many_inputs_goes_in_portions_whose_results_fit_a_frame(
    output_bytes: int, portions: list[int]
) -> None:
    many = RunJob(program="p", inputs=tuple(map(str, range(50))), limits=Limits(output_bytes=output_bytes))
    pieces = Ticket(many, lambda _: None).first_pieces()
    assert [len(asked(piece)) for piece in pieces] == portions
    assert [text for piece in pieces for text in asked(piece)] == list(many.inputs)
    # More than an honest guest writes: four bytes for each character of a literal, and texts beside it twice too long.
    value = Value("😀" * output_bytes, r"\U0001f600" * output_bytes, r"\U0001f600" * output_bytes)
    assert len(frame(Answer(1, 0.0, RunResult((Outcome("ok", value=value),) * portions[0])))) <= MAX_FRAME_BYTES


def test_the_portions_of_a_job_are_put_together_in_order() -> None:
    texts = tuple(map(str, range(30)))
    ticket = Ticket(LiteralJob(texts=texts), lambda _: None)
    first, second = ticket.first_pieces()
    found = [Outcome("ok", value=Value(text, text, text)) for text in texts]
    assert ticket.answered(second, LiteralResult(tuple(found[20:]))) == []
    assert not ticket.settled
    (again,) = ticket.answered(first, LiteralResult((RETRY, *found[1:20])))
    assert ticket.answered(again, LiteralResult((found[0],))) == []
    assert ticket.result == LiteralResult(tuple(found))


def test_a_job_may_take_its_limit_for_each_of_its_inputs() -> None:
    assert wall_seconds(RunJob(program="p", inputs=("1", "2", "3"), limits=Limits(wall_seconds=2.0))) == 6.0
