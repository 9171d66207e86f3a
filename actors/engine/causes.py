"""What ended an engine's process: noted there, read by its owner, for vLLM tells its front end only that it ended.

    engine process, its workers:  vLLM logs the exception it dies of ──► `note_causes` ──► OWNER'S FOLDER/cause-PID
    owner (`Engine`):             no engine came, or it died ──► `take_cause` ──► the error says it

The owner's folder is that of its sockets (`leftovers.socket_folder`). A process that is killed notes nothing.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
import traceback
from collections.abc import Collection
from pathlib import Path

import msgspec

from azr.decoding import UNDECODABLE
from azr.files import write_bytes
from azr.text import shortened

#: Where vLLM logs the exception that an engine, or one of its workers, dies of; and how it says so. Other exceptions
#: that it logs there are answers to a caller, who hears of them.
_LOGGERS = ("vllm.v1.engine.core", "vllm.v1.executor.multiproc_executor")
_LAST_WORDS = ("failed to start", "encountered a fatal error")

_PREFIX = "cause-"

#: Characters of an exception in one line: vLLM's longest say what would fit, and which settings to change.
_WIDTH = 800


class Cause(msgspec.Struct, frozen=True):
    """What a process died of."""

    pid: int
    at: float
    """Seconds since 1970."""
    error: str
    """The exception, in one printable line."""
    traceback: str


def one_line(error: BaseException) -> str:
    """An exception's kind and text in one printable line, without what pydantic's repeat of their input."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return shortened(text.partition(" [type=")[0], _WIDTH)


def note_causes(folder: Path) -> None:
    """Have this process note there what it dies of; asked again in a process forked from one that does, it changes
    nothing."""
    for logger in map(logging.getLogger, _LOGGERS):
        if not any(isinstance(noting, _Noting) for noting in logger.filters):
            logger.addFilter(_Noting(folder))


def take_cause(folder: Path, pids: Collection[int] = ()) -> Cause | None:
    """What was noted first, by one of these processes or, without any, by whichever; the notes are removed. A worker's
    comes before that of the engine which dies of the worker's end."""
    found: list[Cause] = []
    for path in folder.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError, *UNDECODABLE):  # another's, or half a disk's
            cause = msgspec.json.decode(path.read_bytes(), type=Cause)
            if not pids or cause.pid in pids:
                path.unlink()
                found.append(cause)
    return min(found, key=lambda cause: cause.at, default=None)


class _Noting(logging.Filter):
    """Lets every record pass. A handler would be removed when vLLM sets up logging anew as an engine begins."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and any(words in str(record.msg) for words in _LAST_WORDS):
            self._note(error)
        return True

    def _note(self, error: BaseException) -> None:
        cause = Cause(os.getpid(), time.time(), one_line(error), "".join(traceback.format_exception(error)))
        with contextlib.suppress(OSError):  # it ends anyway, and without the note it is known only that it did
            write_bytes(self._folder / f"{_PREFIX}{os.getpid()}", msgspec.json.encode(cause))
