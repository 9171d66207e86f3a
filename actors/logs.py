"""Log files of actors: one a process name in the run's folder, restarts one after the other in the same file.

Called first thing by every actor, also on nodes where that folder cannot be made: there it goes on without a file.
What a model wrote never reaches a log as it is: control characters are shown, not sent to the terminal of whoever reads
the file.
"""

from __future__ import annotations

import logging
import os
import sys
from functools import cache
from pathlib import Path

from azr.files import make_folder
from azr.text import printable


class _Printable(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return "\n".join(printable(line) for line in super().format(record).splitlines())


def log_into(folder: str, name: str) -> None:
    """Have what all of `actors` logs in this process, and vLLM's warnings, written to `folder/name.log` as well."""
    if not folder:
        return
    for handler in open_log(folder, name).handlers:
        for logger in (logging.getLogger("actors"), logging.getLogger("vllm")):
            if handler not in logger.handlers:
                logger.addHandler(handler)
    logging.getLogger("actors").setLevel(logging.INFO)


def open_log(folder: str, name: str) -> logging.Logger:
    """The logger of that name, writing to `folder/name.log`; an empty folder: to nowhere of its own."""
    logger = logging.getLogger(f"azr.actors.{name}")
    logger.setLevel(logging.INFO)
    path = str(Path(folder, f"{name}.log").resolve()) if folder else ""
    if path and not any(getattr(handler, "baseFilename", "") == path for handler in logger.handlers):
        try:
            make_folder(Path(folder))
            handler = logging.FileHandler(path)
        except OSError as error:
            _tell_without(path, str(error))
            return logger
        handler.setFormatter(_Printable("%(asctime)s %(levelname)s %(message)s"))
        logger.addHandler(handler)
        logger.propagate = False
        logger.info("started as process %d", os.getpid())
    return logger


@cache
def _tell_without(path: str, why: str) -> None:
    """Once, on what Ray keeps of this process."""
    print(f"no log is written to {path}: {why}", file=sys.stderr, flush=True)
