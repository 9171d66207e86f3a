"""What the README shows is what happens when it is typed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

_README = (Path(__file__).parents[1] / "README.md").read_text()
_BINARIES = str(Path(sys.executable).parent)
_ENVIRONMENT = {**os.environ, "PATH": f"{_BINARIES}:{os.environ['PATH']}"}

#: A first answer of the sandbox may have to wait for the guest to be compiled.
_SECONDS = 240

#: A block that starts with a prompt: what is typed, up to `azr NAME`, then what is answered.
_SESSION = re.compile(r"^    \$ (?P<typed>(?:.+\n)??.+\| azr \w+)\n(?P<answered>(?:    .*\n)*)", re.MULTILINE)


def _sessions() -> list[tuple[str, str]]:
    return [(match["typed"], match["answered"]) for match in _SESSION.finditer(_README)]


def test_there_is_an_example_of_each_command_for_ones_own_data() -> None:
    assert [typed.rpartition(" ")[2] for typed, _ in _sessions()] == ["exec", "gate", "verify"]


@pytest.mark.parametrize(("typed", "answered"), _sessions(), ids=lambda text: text.rpartition(" ")[2][:8].strip())
def test_what_is_typed_answers_as_shown(typed: str, answered: str) -> None:
    said = subprocess.run(
        ["bash", "-c", typed], capture_output=True, text=True, timeout=_SECONDS, check=True, env=_ENVIRONMENT
    ).stdout
    assert msgspec.json.decode(said) == msgspec.json.decode(answered)


def test_the_python_example_runs() -> None:
    [code] = re.findall(r"```python\n(.*?)```", _README, re.DOTALL)
    script = f"if __name__ == '__main__':\n{''.join('    ' + line + chr(10) for line in code.splitlines())}"
    said = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=_SECONDS, check=True, env=_ENVIRONMENT
    ).stdout
    assert "823543" in said
    # What a busy machine did not let reach the end of its fuel says nothing of the program, and is told as that.
    assert "timeout" in said or "the wall clock ran out before the fuel did" in said


def test_every_command_the_readme_names_exists() -> None:
    from azr.cli.main import COMMANDS

    named = set(re.findall(r"`azr ([a-z]+)", _README))
    assert named <= {command.name for command in COMMANDS}


def test_every_file_the_readme_points_to_exists() -> None:
    root = Path(__file__).parents[1]
    targets = re.findall(r"\]\(([^)#:]+)\)", _README)
    assert targets
    assert [target for target in targets if not (root / target).exists()] == []
