"""What work leaves on a terminal when it ends before its bar is full."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import sys

import pytest

HIDDEN, SHOWN = b"\x1b[?25l", b"\x1b[?25h"


@pytest.mark.parametrize("ending", ["raise KeyboardInterrupt", "raise SystemExit(1)", "progress.show(3)"])
def test_however_the_work_ends_the_terminal_has_its_cursor_again(ending: str) -> None:
    script = f"from azr.progress import Progress; progress = Progress('work', 3); progress.show(1); {ending}"
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm"}
    with subprocess.Popen([sys.executable, "-c", script], stdin=theirs, stderr=theirs, env=environment):
        os.close(theirs)
        said = b""
        with contextlib.suppress(OSError):  # the terminal's other end is closed
            while read := os.read(ours, 4096):
                said += read
    os.close(ours)
    assert HIDDEN in said
    assert said.rfind(SHOWN) > said.rfind(HIDDEN)
