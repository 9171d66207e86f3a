"""What the pool's thread does with what callers hand in, without a worker."""

from __future__ import annotations

from sandbox_wasm.backpressure import Places
from sandbox_wasm.channel import Hello
from sandbox_wasm.dispatcher import Dispatcher, SandboxClosedError
from sandbox_wasm.protocol import RunJob
from sandbox_wasm.statistics import Recorder
from sandbox_wasm.ticket import Ticket


def test_a_job_that_is_cancelled_in_the_round_in_which_it_came_is_not_run() -> None:
    """Its place is given back at the end of the round: whoever gets that would wait behind work for nobody."""
    dispatcher = Dispatcher(
        hello=Hello(backend="process", options={}, harden=False),
        workers=1,
        places=Places(2),
        recorder=Recorder(),
        grace_seconds=1.0,
        start_seconds=1.0,
    )
    try:
        gone, wanted = (Ticket(RunJob(program=name, inputs=("1",)), lambda _: None) for name in "ab")
        for ticket in (gone, wanted):
            dispatcher.submit(ticket.first_pieces())
        dispatcher.cancel([gone])
        dispatcher._take_commands()
        assert [piece.ticket for piece in dispatcher._schedule._pending] == [wanted]
    finally:
        dispatcher._finish(SandboxClosedError("the test is over"))
