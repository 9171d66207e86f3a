"""The worker process: one back end, one socket, jobs one at a time, locked in before the first of them.

Started by `sandbox_wasm.worker_process` as a process of its own; never imported by the pool for anything else.

      exec ──► tie my life to the pool's ──► Hello ──► build the back end ──► lock in ──► Ready ──► answer jobs …
                                                                                          until the pool is gone

It is crash-only: a back end that raises is broken, so the worker says why on its standard error and leaves; the pool
puts another in its place, or breaks off where programs may have reached one another. Nothing here waits for anything
but the pool and the job being run.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import time
import traceback
from collections import deque

import msgspec

from sandbox_wasm import confinement, hardening
from sandbox_wasm.channel import BROKEN, UNSOUND, Answer, Assign, Hello, Ready, Revoke, ToWorker, WorkerEnd, decode_job
from sandbox_wasm.protocol import Backend, IsolationError
from sandbox_wasm.registry import make_backend


def main() -> None:
    """Serve the pool until it goes away. Arguments: the number of the inherited socket, the pool's process id."""
    descriptor, pool_process = int(sys.argv[1]), int(sys.argv[2])
    die_with_parent(pool_process)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the pool's to handle: it closes us.
    with socket.socket(fileno=descriptor) as connection:
        end = WorkerEnd(connection)
        try:
            serve(end)
        except (BrokenPipeError, ConnectionResetError):
            return
        except Exception as error:
            traceback.print_exc()
            sys.stderr.flush()
            # Without destructors: what the back end holds is not to be trusted.
            os._exit(UNSOUND if isinstance(error, IsolationError) else BROKEN)


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when the pool dies, however it dies."""
    confinement.signal_when_parent_dies(signal.SIGKILL)
    if os.getppid() != parent:  # It died before we asked.
        os._exit(0)


def serve(end: WorkerEnd) -> None:
    """Build what the pool asks for and answer its jobs in order; returns when the pool has gone."""
    messages = end.receive(wait=True)
    if messages is None:
        return
    hello = messages[0]
    if not isinstance(hello, Hello):
        raise RuntimeError(f"the pool's first message is {type(hello).__name__}, not Hello")
    backend = make_backend(hello.backend, hello.options)
    with contextlib.closing(backend):
        profile = getattr(backend, "hardening", hardening.SEALED)
        report = hardening.leave(profile) if hello.harden else {}
        confinement.signal_when_parent_dies(signal.SIGKILL)  # Again: the kernel may forget it when privileges change.
        if (prepare := getattr(backend, "prepare", None)) is not None:
            prepare()
        report |= hardening.lock_in(profile) if hello.harden else {}
        report |= getattr(backend, "measures", {})
        end.send(Ready(backend=backend.name, hardening=report))
        answer_jobs(end, backend, messages[1:])


def answer_jobs(end: WorkerEnd, backend: Backend, messages: list[ToWorker]) -> None:
    """Run what is assigned, skipping what was revoked meanwhile; one answer a job, in order."""
    waiting: deque[tuple[int, msgspec.Raw]] = deque()
    revoked: set[int] = set()
    while True:
        for message in messages:
            if isinstance(message, Assign):
                waiting.extend(message.jobs)
            elif isinstance(message, Revoke):
                revoked.update(message.numbers)
        if waiting:
            number, body = waiting.popleft()
            if number in revoked:
                revoked.discard(number)
                end.send(Answer(number, 0.0, None))
            else:
                began = time.perf_counter()
                result = backend.run(decode_job(body))
                end.send(Answer(number, time.perf_counter() - began, result))
        if not waiting:
            revoked.clear()  # Numbers never come back.
        arrived = end.receive(wait=not waiting)
        if arrived is None:
            return
        messages = arrived


if __name__ == "__main__":
    main()
