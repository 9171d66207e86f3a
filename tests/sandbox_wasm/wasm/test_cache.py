"""The cache of native code: compiled once, private, and refused when its digest is wrong."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from sandbox_wasm.wasm import cache


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
        path = cache.CodeCache(tmp_path).path("name", compile_native)
        assert path.read_bytes() == b"native code"
    assert compile_native.calls == 1


def test_code_that_was_changed_is_refused_and_compiled_again(tmp_path: Path) -> None:
    compile_native = Compiler()
    path = cache.CodeCache(tmp_path).path("name", compile_native)
    path.write_bytes(b"evil code  ")
    assert cache.CodeCache(tmp_path).path("name", compile_native).read_bytes() == b"native code"
    assert compile_native.calls == 2


def test_code_without_a_recorded_digest_is_refused(tmp_path: Path) -> None:
    compile_native = Compiler()
    path = cache.CodeCache(tmp_path).path("name", compile_native)
    path.with_suffix(".sha256").unlink()
    cache.CodeCache(tmp_path).path("name", compile_native)
    assert compile_native.calls == 2


def test_the_folder_is_the_users_alone(tmp_path: Path) -> None:
    code = cache.CodeCache(tmp_path)
    code.path("name", Compiler())
    assert code.folder.stat().st_mode & 0o777 == 0o700


def test_a_folder_others_may_write_to_is_refused(tmp_path: Path) -> None:
    code = cache.CodeCache(tmp_path)
    code.folder.mkdir(parents=True)
    code.folder.chmod(0o777)
    with pytest.raises(cache.CacheUnsafeError, match="chmod 700"):
        code.path("name", Compiler())


def test_workers_that_start_together_compile_once(tmp_path: Path) -> None:
    compile_native = Compiler(seconds=0.2)
    threads = [
        threading.Thread(target=lambda: cache.CodeCache(tmp_path).path("name", compile_native)) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert compile_native.calls == 1


def test_whoever_waits_too_long_says_for_whom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "COMPILE_DEADLINE", 0.1)
    slow = threading.Thread(target=lambda: cache.CodeCache(tmp_path).path("name", Compiler(seconds=1.0)))
    slow.start()
    time.sleep(0.3)
    with pytest.raises(TimeoutError, match="another process"):
        cache.CodeCache(tmp_path).path("name", Compiler())
    slow.join(timeout=30)


def test_a_compilation_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> bytes:
        raise RuntimeError("no")

    code = cache.CodeCache(tmp_path)
    with pytest.raises(RuntimeError, match="no"):
        code.path("name", fail)
    assert [path.suffix for path in code.folder.iterdir()] == [".lock"]
    assert code.path("name", Compiler()).exists()


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
