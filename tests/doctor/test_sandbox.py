"""The sandbox is examined from the cache of its native code to a program that runs in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from azr.doctor import sandbox
from sandbox_wasm.wasm.cache import CodeCache


def test_on_this_machine_the_sandbox_works() -> None:
    found = {finding.subject: finding for finding in sandbox.examine_sandbox()}
    assert list(found) == ["compile cache", "second wall", "wasm"]
    assert found["compile cache"].level == "ok"
    assert found["wasm"].level == "ok", found["wasm"]
    assert "f(21) == 42" in found["wasm"].found


def test_a_cache_that_does_not_exist_yet_is_fine(tmp_path: Path) -> None:
    finding = sandbox._cache(CodeCache(tmp_path / "none"))
    assert finding.level == "ok"
    assert "first program waits" in finding.found


@pytest.mark.parametrize(("mode", "level"), [(0o700, "ok"), (0o755, "ok"), (0o775, "fail"), (0o777, "fail")])
def test_a_cache_that_others_may_write_to_is_broken(mode: int, level: str, tmp_path: Path) -> None:
    cache = CodeCache(tmp_path)
    cache.folder.mkdir()
    (cache.folder / "guest.cwasm").write_bytes(bytes(2**20))
    cache.folder.chmod(mode)
    finding = sandbox._cache(cache)
    assert finding.level == level
    assert finding.found.startswith("1 modules, 1 MiB")


@pytest.mark.parametrize(
    ("report", "level", "found"),
    [
        ({"filter": "on", "opening a file": "prevented"}, "ok", "all 2 measures hold around each worker"),
        ({"filter": "refused", "opening a file": "possible"}, "warn", "filter refused; opening a file possible"),
        ({"hardening": "could not be tried: x"}, "warn", "hardening could not be tried: x"),
    ],
)
def test_what_the_second_wall_leaves_open_is_named(report: dict[str, str], level: str, found: str) -> None:
    finding = sandbox._confinement(report)
    assert (finding.level, finding.found) == (level, found)
