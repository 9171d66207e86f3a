"""The set-up finds a Python that works, and reads the lock as it is meant."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools import install_locked

_ROOT = Path(__file__).parents[1]
_FIND = _ROOT / "tools" / "find_python.sh"


def _find(*arguments: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": f"{path}:/usr/bin:/bin"} if path else dict(os.environ)
    return subprocess.run(
        ["sh", str(_FIND), *arguments], capture_output=True, text=True, timeout=60, check=False, env=environment
    )


def _program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_a_python_that_only_complains_is_passed_over(tmp_path: Path) -> None:
    _program(tmp_path / "python3.11", "echo 'pyenv: python3.11: command not found' >&2; exit 127")
    _program(tmp_path / "python3.12", f'exec {sys.executable} "$@"')
    assert _find(path=tmp_path).stdout == "python3.12\n"


def test_a_python_without_venv_is_passed_over(tmp_path: Path) -> None:
    _program(tmp_path / "python3.11", 'case "$2" in *venv*) exit 1;; esac')
    _program(tmp_path / "python3.12", f'exec {sys.executable} "$@"')
    assert _find(path=tmp_path).stdout == "python3.12\n"


def test_the_one_that_is_named_is_taken_or_refused(tmp_path: Path) -> None:
    assert _find(sys.executable).stdout.strip() == sys.executable
    _program(tmp_path / "old", "exit 1")
    refused = _find(str(tmp_path / "old"))
    assert refused.returncode == 1
    assert f"PYTHON={tmp_path / 'old'} is not a Python 3.11 or 3.12" in refused.stderr


@pytest.mark.parametrize(("system", "machine"), [("Linux", "aarch64"), ("Darwin", "arm64"), ("Darwin", "x86_64")])
def test_a_machine_for_which_there_are_no_packages_is_refused_before_anything_is_fetched(
    system: str, machine: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("platform.system", lambda: system)
    monkeypatch.setattr("platform.machine", lambda: machine)
    monkeypatch.setattr(install_locked, "pip_install", lambda *_words, **_options: pytest.fail("pip was run"))
    monkeypatch.setattr(sys, "argv", ["install_locked.py", str(_ROOT / "requirements" / "cpu.lock")])
    assert install_locked.main() == 1
    assert f"this is {system} on {machine}; azr's locked packages are for Linux on x86-64" in capsys.readouterr().err


@pytest.mark.parametrize(("extra", "cost"), [("cpu", "about two minutes and 4 GB"), ("gpu", "about 10 GB")])
def test_the_set_up_says_what_it_costs(extra: str, cost: str) -> None:
    said = subprocess.run(
        ["make", "-n", "-W", "pyproject.toml", "setup", f"EXTRA={extra}"],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    assert f"({cost} the first time)" in said


def test_torch_is_split_off_the_lock() -> None:
    assert install_locked.split_torch("# made by hand\nabc==1\ntorch==2.13.0\n\nxyz==2\n") == (
        "2.13.0",
        ["abc==1", "xyz==2"],
    )


@pytest.mark.parametrize("lock", ["abc==1\n", "torch==1\ntorch==2\n"])
def test_a_lock_that_does_not_pin_torch_once_is_refused(lock: str) -> None:
    with pytest.raises(SystemExit, match="exactly once"):
        install_locked.split_torch(lock)


def test_when_pip_fails_its_words_are_kept() -> None:
    with pytest.raises(install_locked.PipError, match="no-such-wheel"):
        install_locked.pip_install("./no-such-wheel.whl", title="nothing", count=1)


def test_torch_comes_from_its_own_index_when_no_other_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []

    def pip_install(*arguments: str, title: str, count: int) -> None:
        asked.append(arguments)
        if len(asked) == 1:
            raise install_locked.PipError("no matching distribution")

    monkeypatch.setattr(install_locked, "pip_install", pip_install)
    install_locked.install_torch("2.13.0", "https://index")
    assert asked == [("torch==2.13.0+cpu",), ("--index-url", "https://index", "torch==2.13.0+cpu")]


def test_the_tour_shows_programs_with_what_they_answered(tmp_path: Path) -> None:
    asked = {"id": "one", "program": "def f(x):\n    return x\n", "inputs": ["1", "2"]}
    results = [{"status": "ok", "output": "1"}, {"status": "error", "error": "ValueError: \x1b[31mred"}]
    questions = tmp_path / "asked.jsonl"
    questions.write_text(json.dumps(asked) + "\n")
    shown = subprocess.run(
        [sys.executable, str(_ROOT / "tools" / "tour.py"), str(questions)],
        input=json.dumps({"id": "one", "results": results}),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    assert "f(1) → 1\n" in shown
    assert "f(2) → error: ValueError: \\x1b[31mred\n" in shown
    assert "1 ok, 1 error" in shown
