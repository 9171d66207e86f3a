"""Native code compiled from the guest, kept between processes.

Owns one folder for each user. Loading native code is trusting it, so the folder is the user's alone (0700), each file
is the user's too and held against the sha256 recorded when it was compiled, and its name says which wasmtime, processor
and guest it is for. Who asks is given the file that was looked at, open: under its name another may stand by then.

    guest module ──► compiled?  ── yes, digest right ──► open file ──► engine maps it
                        │ no
                        ▼
                 lock (one process compiles, the others wait up to a deadline) ──► write aside, rename
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import platform
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

#: Seconds a process waits for another that compiles. A cold compile takes 10 to 60 s on a busy two-core machine.
COMPILE_DEADLINE = 300.0


class CacheUnsafeError(RuntimeError):
    """The cache folder, or a file in it, could be written to by others."""


def default_folder() -> Path:
    """Where the user's caches live: AZR_CACHE, or XDG_CACHE_HOME, or ~/.cache."""
    chosen = os.environ.get("AZR_CACHE")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "azr"


def processor() -> str:
    """What native code depends on: architecture and feature flags."""
    flags = ""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(("flags", "Features")):
                flags = line
                break
    return f"{platform.system()} {platform.machine()} {flags}"


def key(*parts: str) -> str:
    """A name for code that depends on all of these."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _is_private(status: os.stat_result) -> bool:
    return status.st_uid == os.getuid() and not stat.S_IMODE(status.st_mode) & 0o022


class CodeCache:
    """Compiled modules by key in one private folder."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = (folder or default_folder()) / "native"

    def open(self, name: str, compile_native: Callable[[], bytes]) -> BinaryIO:
        """The file with the native code of that name, compiled now if there is none whose digest is right."""
        self._make_private()
        target = self.folder / f"{name}.cwasm"
        code = self._intact(target)
        if code is None:
            with self._lock(name):
                code = self._intact(target)  # another process may have been quicker
                if code is None:
                    self._store(target, compile_native())
                    code = self._intact(target)
        if code is None:
            raise CacheUnsafeError(
                f"{target} is not what was just written there; set AZR_CACHE to a folder of your own"
            )
        return code

    def _make_private(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _is_private(self.folder.stat()):
            raise CacheUnsafeError(
                f"{self.folder} must belong to this user and be writable by nobody else (chmod 700), or set AZR_CACHE"
            )

    def _intact(self, target: Path) -> BinaryIO | None:
        """The file, open, if it is the user's alone and what was recorded."""
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            recorded = target.with_suffix(".sha256").read_text()
            file = stack.enter_context(target.open("rb"))
            private = _is_private(os.fstat(file.fileno()))
            if private and hashlib.file_digest(file, "sha256").hexdigest() == recorded:
                stack.pop_all()
                return file
        return None

    def _store(self, target: Path, native: bytes) -> None:
        self._write(target.with_suffix(".sha256"), hashlib.sha256(native).hexdigest().encode())
        self._write(target, native)

    def _write(self, target: Path, content: bytes) -> None:
        handle, aside = tempfile.mkstemp(dir=self.folder, prefix=target.name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            Path(aside).replace(target)
        except BaseException:
            Path(aside).unlink(missing_ok=True)
            raise

    @contextlib.contextmanager
    def _lock(self, name: str) -> Iterator[None]:
        deadline = time.monotonic() + COMPILE_DEADLINE
        with (self.folder / f"{name}.lock").open("w") as file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise TimeoutError(
                            f"waited {COMPILE_DEADLINE:.0f} s for another process to compile the guest ({file.name})"
                        ) from None
                    time.sleep(0.05)
            yield
