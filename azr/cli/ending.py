"""How commands that write a file end when they are told to: as by Ctrl-C, which unwinds them, with nothing half left.

Used by commands whose work takes long while a file is open (`azr.files.replacing`), or a sandbox.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def tidied_when_ended() -> Iterator[None]:
    """A termination or a hang-up within the block ends it as Ctrl-C does, and leaves no half file. Who asked that one
    be passed over (`nohup`), or hears it otherwise, is left alone."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) == signal.SIG_DFL]
    for number in heard:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number in heard:
            signal.signal(number, signal.SIG_DFL)
