"""A worker as the pool sees it: start it, write to it, read from it, learn of its death, end it.

Owns the process, the pool's end of its socket, and the last words on its standard error. Used by the pool's thread
alone, and must be: the kernel kills a worker when the *thread* that started it ends.

The process is started by `exec` in a session of its own, never by forking the caller, who may hold Ray's, torch's or
anybody's threads and locks. Ending it kills its whole process group, for back ends that start processes.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
from typing import IO, Final

import msgspec

from sandbox_wasm.channel import READ_BYTES, FrameBuffer, FromWorker, Hello, ToWorker, frame

#: How much of a worker's standard error is kept for error messages: a traceback's end.
LAST_WORDS_BYTES = 4096

#: How long a killed process may take to be gone. The kernel needs milliseconds; longer means that it is stuck in a
#: driver.
REAP_SECONDS = 10.0

#: Runs the worker with the caller's module path, as `multiprocessing` does, so that what the caller can import its
#: workers can; `-I` keeps the environment and the current folder out of it.
_BOOTSTRAP = "import sys; sys.path[:] = sys.argv[3:]; from sandbox_wasm.worker import main; main()"

#: What of the caller's environment a worker gets: what is needed to find caches and libraries, and no tokens or keys.
_ENVIRONMENT = ("AZR_CACHE", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "TMPDIR", "XDG_CACHE_HOME")

#: Reads of a dead worker's standard error: a process that outlived it may write there for ever.
_LAST_READS = 16


class WorkerProcess:
    """One worker. `number` names it in the pool; a replacement gets another number."""

    def __init__(self, number: int, hello: Hello, now: float, generation: int = 0) -> None:
        self.number: Final = number
        self.generation: Final = generation
        """How many generations before it failed to start, one after the other."""
        self.started: Final = now
        self.ready = False
        self.hardening: dict[str, str] = {}
        self._buffer = FrameBuffer()
        self._decoder: msgspec.msgpack.Decoder[FromWorker] = msgspec.msgpack.Decoder(FromWorker)
        self._unsent = bytearray()
        self._last_words = b""
        ours, theirs = socket.socketpair()
        with theirs:
            ours.setblocking(False)
            try:
                self.process = _start(theirs.fileno())
            except BaseException:
                ours.close()
                raise
        self.connection: Final = ours
        assert self.process.stderr is not None
        self.errors: Final[IO[bytes]] = self.process.stderr
        os.set_blocking(self.errors.fileno(), False)
        self.life: Final = os.pidfd_open(self.process.pid)
        """A descriptor that becomes readable when the process has ended. The socket's end is no sign of that: a process
        it started may hold it open."""
        self.send(hello)

    @property
    def process_id(self) -> int:
        """The operating system's number for it."""
        return self.process.pid

    def send(self, message: ToWorker) -> None:
        """Queue a message and write what the socket takes at once; never waits. `flush` writes the rest."""
        self._unsent += frame(message)
        self.flush()

    def flush(self) -> bool:
        """Write what the socket takes of what is queued; whether all of it was taken."""
        with contextlib.suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
            while self._unsent:
                del self._unsent[: self.connection.send(self._unsent)]
        return not self._unsent

    def receive(self) -> list[FromWorker] | None:
        """What it said since; None when it has closed its end. Raises `MsgspecError` or `ChannelError` at nonsense."""
        try:
            data = self.connection.recv(READ_BYTES)
        except BlockingIOError:
            return []
        except ConnectionResetError:
            return None
        if not data:
            return None
        return [self._decoder.decode(body) for body in self._buffer.feed(data)]

    def received_more(self) -> bool:
        """Whether something it sent lies unread."""
        return _readable(self.connection.fileno(), 0.0)

    def ended(self, within: float) -> bool:
        """Whether the process has ended, or does within so many seconds."""
        return _readable(self.life, within)

    def read_errors(self) -> bool:
        """Keep the end of what it wrote to its standard error; false when nothing was there to read."""
        try:
            data = os.read(self.errors.fileno(), READ_BYTES)
        except BlockingIOError:
            return False
        self._last_words = (self._last_words + data)[-LAST_WORDS_BYTES:]
        return bool(data)

    def last_words(self) -> str:
        """The end of its standard error, or an empty text."""
        return self._last_words.decode(errors="replace").strip()

    def hang_up(self) -> None:
        """Tell it that there is no more work; an idle worker leaves by itself."""
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)

    @property
    def status(self) -> int | None:
        """Its exit status once it has been ended, a signal's number negated; None before."""
        return self.process.returncode

    def end(self) -> str:
        """Kill it and its process group, take its body, and say how it ended."""
        # Before the process is waited for, its number, and so its group's, cannot belong to anybody else.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        try:
            code = self.process.wait(REAP_SECONDS)
            for _ in range(_LAST_READS):
                if not self.read_errors():
                    break
        except subprocess.TimeoutExpired:  # the next process to be started takes its body: `subprocess` sees to it
            return f"could not be killed in {REAP_SECONDS:g} s"
        finally:
            self.errors.close()
            self.connection.close()
            os.close(self.life)
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"left with status {code}"


def _readable(descriptor: int, within: float) -> bool:
    poll = select.poll()  # `select` cannot look at descriptors above 1023, and a trainer has many.
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(within * 1000))


def _start(descriptor: int) -> subprocess.Popen[bytes]:
    """Execute the worker with the socket inherited under the same number."""
    path = [folder for folder in sys.path if folder]
    return subprocess.Popen(
        [sys.executable, "-I", "-c", _BOOTSTRAP, str(descriptor), str(os.getpid()), *path],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        pass_fds=[descriptor],
        env={name: value for name, value in os.environ.items() if name in _ENVIRONMENT},
        start_new_session=True,
    )
