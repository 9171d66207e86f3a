"""The cache of native code: compiled once, private, and refused when its digest is wrong."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox_wasm.wasm import cache


def opened(folder: Path, compile_native: Callable[[], bytes]) -> Path:
    """Where the code lies that a cache of its own in that folder finds."""
    with cache.CodeCache(folder).open("name", compile_native) as file:
        return Path(file.name)


class Compiler:
    """Counts how often it is asked."""

    def __init__(self, native: bytes = b"native code", seconds: float = 0.0) -> None:
        self.native = native
        self.seconds = seconds
        self.calls = 0

    def __call__(self) -> bytes:
        self.calls += 1
        time.sleep(self.seconds)
        return self.native


def test_compiled_once_and_found_again(tmp_path: Path) -> None:
    compile_native = Compiler()
    for _ in range(3):
        path = opened(tmp_path, compile_native)
        assert path.read_bytes() == b"native code"
    assert compile_native.calls == 1


def test_code_that_was_changed_is_refused_and_compiled_again(tmp_path: Path) -> None:
    compile_native = Compiler()
    path = opened(tmp_path, compile_native)
    path.write_bytes(b"evil code  ")
    assert opened(tmp_path, compile_native).read_bytes() == b"native code"
    assert compile_native.calls == 2


def test_code_without_a_recorded_digest_is_refused(tmp_path: Path) -> None:
    compile_native = Compiler()
    path = opened(tmp_path, compile_native)
    path.with_suffix(".sha256").unlink()
    opened(tmp_path, compile_native)
    assert compile_native.calls == 2


def test_code_that_others_may_write_to_is_refused_and_compiled_again(tmp_path: Path) -> None:
    compile_native = Compiler()
    opened(tmp_path, compile_native).chmod(0o666)
    assert opened(tmp_path, compile_native).stat().st_mode & 0o777 == 0o600
    assert compile_native.calls == 2


def test_what_was_looked_at_is_what_is_read_whatever_takes_its_place(tmp_path: Path) -> None:
    code = cache.CodeCache(tmp_path)
    with code.open("name", Compiler()) as file:
        code.folder.rename(tmp_path / "aside")
        code.folder.mkdir()
        Path(file.name).write_bytes(b"evil code  ")
        assert Path(f"/proc/self/fd/{file.fileno()}").read_bytes() == b"native code"


def test_the_folder_is_the_users_alone(tmp_path: Path) -> None:
    code = cache.CodeCache(tmp_path)
    code.open("name", Compiler()).close()
    assert code.folder.stat().st_mode & 0o777 == 0o700


def test_a_folder_others_may_write_to_is_refused(tmp_path: Path) -> None:
    code = cache.CodeCache(tmp_path)
    code.folder.mkdir(parents=True)
    code.folder.chmod(0o777)
    with pytest.raises(cache.CacheUnsafeError, match="chmod 700"):
        code.open("name", Compiler())


def test_workers_that_start_together_compile_once(tmp_path: Path) -> None:
    compile_native = Compiler(seconds=0.2)
    threads = [threading.Thread(target=lambda: opened(tmp_path, compile_native)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert compile_native.calls == 1


def test_whoever_waits_too_long_says_for_whom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "COMPILE_DEADLINE", 0.1)
    slow = threading.Thread(target=lambda: opened(tmp_path, Compiler(seconds=1.0)))
    slow.start()
    time.sleep(0.3)
    with pytest.raises(TimeoutError, match="another process"):
        opened(tmp_path, Compiler())
    slow.join(timeout=30)


def test_a_compilation_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> bytes:
        raise RuntimeError("no")

    code = cache.CodeCache(tmp_path)
    with pytest.raises(RuntimeError, match="no"):
        code.open("name", fail)
    assert [path.suffix for path in code.folder.iterdir()] == [".lock"]
    assert opened(tmp_path, Compiler()).exists()


def test_the_name_depends_on_all_that_native_code_depends_on() -> None:
    names = {cache.key("guest", "0", "50"), cache.key("guest", "1", "50"), cache.key("guest", "0", "51")}
    assert len(names) == 3
    assert cache.processor() == cache.processor()
    assert cache.key("ab", "c") != cache.key("a", "bc")


def test_the_folder_can_be_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZR_CACHE", str(tmp_path / "here"))
    assert cache.default_folder() == tmp_path / "here"
    monkeypatch.delenv("AZR_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "there"))
    assert cache.default_folder() == tmp_path / "there" / "azr"
