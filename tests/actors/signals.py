"""Keeps the handlers of the signals that WebAssembly traps arrive by while Ray starts in this process.

Ray puts its own on them, under which a trap ends the process; a driver in the process of the tests would break every
test that runs a guest after it.
"""

from __future__ import annotations

import contextlib
import ctypes
import signal
from collections.abc import Iterator

_TRAPS = (signal.SIGSEGV, signal.SIGILL, signal.SIGBUS, signal.SIGFPE)

#: `struct sigaction` of Linux has 152 bytes.
_BYTES = 256


@contextlib.contextmanager
def trap_handlers_kept() -> Iterator[None]:
    """Put back, at the end of the block, the handlers that stood at its beginning."""
    library = ctypes.CDLL(None, use_errno=True)
    kept = {trap: ctypes.create_string_buffer(_BYTES) for trap in _TRAPS}
    for trap, action in kept.items():
        assert library.sigaction(int(trap), None, action) == 0
    try:
        yield
    finally:
        for trap, action in kept.items():
            assert library.sigaction(int(trap), action, None) == 0
