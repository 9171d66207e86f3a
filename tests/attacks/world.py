"""Things planted for attacks to reach: nothing real is ever at stake.

One `World` per attack: a folder with a secret file, a module file and a place for a marker, a listener on the loopback
interface, a process to be killed. Everything secret is the same random token, so whatever text holds it shows a leak.

    World ──fill()──► program with real paths ──► run somewhere ──► effects(text of the answer)
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from string import Template

from tests.attacks.corpus import Effect

#: The planted environment variable. Set in this process too, so that workers which inherit the environment hold it.
SECRET_VARIABLE = "AZR_PLANTED_SECRET"

#: One token for the life of the process: back ends start once, and their environment must hold it.
TOKEN = "planted" + secrets.token_hex(12)


class World:
    """Planted things and what became of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.token = TOKEN
        self.marker = folder / "marker"
        (folder / "secret.txt").write_text(self.token)
        (folder / "planted_module.py").write_text(f"SECRET = {self.token!r}\n")
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(8)
        self._listener.setblocking(False)
        self._victim: subprocess.Popen[bytes] | None = None

    def fill(self, text: str) -> str:
        """The text with the names of planted things replaced by where they are."""
        if "$VICTIM_PID" in text and self._victim is None:
            self._victim = subprocess.Popen(["sleep", "60"], stdin=subprocess.DEVNULL)
        if "$" not in text:
            return text
        return Template(text).safe_substitute(
            SECRET_FILE=str(self.folder / "secret.txt"),
            MODULE_FILE=str(self.folder / "planted_module.py"),
            MARKER=str(self.marker),
            PORT=str(self._listener.getsockname()[1]),
            VICTIM_PID=str(self._victim.pid if self._victim else 0),
        )

    def effects(self, answer: str) -> set[Effect]:
        """What has happened to the planted things, given the text of all that came back."""
        found: set[Effect] = set()
        if self.token in answer:
            found.add("read")
        if self.marker.exists():
            found.add("wrote")
        if self._called():
            found.add("connected")
        if self._victim is not None and self._ended(self._victim):
            found.add("killed")
        return found

    def _called(self) -> bool:
        try:
            connection, _ = self._listener.accept()
        except BlockingIOError:
            return False
        connection.close()
        return True

    @staticmethod
    def _ended(process: subprocess.Popen[bytes]) -> bool:
        return process.poll() is not None

    def close(self) -> None:
        """Take everything away again."""
        self._listener.close()
        if self._victim is not None:
            if self._victim.poll() is None:
                self._victim.send_signal(signal.SIGKILL)
            self._victim.wait(timeout=10)


@contextmanager
def planted() -> Iterator[World]:
    """A world for one attack, gone afterwards."""
    os.environ[SECRET_VARIABLE] = TOKEN
    folder = Path(tempfile.mkdtemp(prefix="azr-attack-"))
    world = World(folder)
    try:
        yield world
    finally:
        world.close()
        shutil.rmtree(folder, ignore_errors=True)
