"""The wheel works outside the checkout: presets, prompts, guest and benchmarks travel inside it."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from azr.config.reference import markdown

_ROOT = Path(__file__).parents[1]

#: Building takes seconds, a first answer of the sandbox compiles the guest.
_SECONDS = 240


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from the checkout, without a network and without an isolated build environment."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=_ROOT, check=True, capture_output=True, timeout=_SECONDS)
    [path] = folder.glob("azr-*.whl")
    return path


class Elsewhere:
    """The wheel's content unpacked in a folder of its own, with the checkout out of reach."""

    def __init__(self, site: Path, work: Path) -> None:
        self.site = site
        self.work = work

    def python(self, code: str, *words: str, stdin: str = "") -> str:
        """What the code prints. `-P` keeps the working folder off the path, `-s` the user's packages."""
        # The environment's packages stay importable; its link to the checkout is the last entry and is taken off.
        outside = f"import sys; sys.path[:] = [{str(self.site)!r}, *(p for p in sys.path if p != {str(_ROOT)!r})]\n"
        answer = subprocess.run(
            [sys.executable, "-s", "-P", "-c", outside + code, *words],
            cwd=self.work,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        assert answer.returncode == 0, answer.stderr
        return answer.stdout

    def azr(self, *words: str, stdin: str = "") -> str:
        """What the command prints. Spawned workers find the wheel's packages through `PYTHONPATH`."""
        code = (
            f"import os; os.environ['PYTHONPATH'] = {str(self.site)!r}\n"
            "from azr.cli.main import main\n"
            "raise SystemExit(main(sys.argv[1:]))"
        )
        return self.python(code, *words, stdin=stdin)


@pytest.fixture(scope="module")
def elsewhere(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Elsewhere]:
    """The wheel, unpacked as an installer unpacks it."""
    site = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    yield Elsewhere(site, tmp_path_factory.mktemp("work"))


def test_everything_imports_from_the_wheel_and_nothing_from_the_checkout(elsewhere: Elsewhere) -> None:
    found = elsewhere.python(
        "import azr, actors, learner, sandbox_wasm, benchmarks\n"
        "print('\\n'.join(m.__file__ for m in (azr, actors, learner, sandbox_wasm, benchmarks)))"
    )
    assert all(line.startswith(str(elsewhere.site)) for line in found.splitlines())


def test_all_data_of_the_checkout_travels(wheel: Path) -> None:
    """Whatever lies beside the code and is no code is data that some code reads."""
    tracked = subprocess.run(
        ["git", "ls-files", "azr", "actors", "learner", "sandbox_wasm", "benchmarks", "conf"],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    expected = {path for path in tracked if not path.startswith(("benchmarks/results/", "conf/"))}
    expected |= {f"azr/{path}" for path in tracked if path.startswith("conf/")}
    assert expected - set(zipfile.ZipFile(wheel).namelist()) == set()


def test_results_and_tests_do_not_travel(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert [name for name in names if name.startswith(("benchmarks/results", "tests", "tools", "docs"))] == []


def test_help_answers(elsewhere: Elsewhere) -> None:
    assert "commands:" in elsewhere.azr("--help")


def test_presets_are_found(elsewhere: Elsewhere) -> None:
    assert "algorithm/paper" in elsewhere.azr("config", "presets").split()
    assert "learnability: one_minus_mean" in elsewhere.azr("config", "show", "algorithm=paper")


def test_the_reference_is_whole_because_sources_travel(elsewhere: Elsewhere) -> None:
    assert elsewhere.azr("config", "reference") == markdown()


def test_benchmarks_are_found(elsewhere: Elsewhere) -> None:
    assert "sandbox " in elsewhere.azr("bench", "list")


def test_prompts_are_found(elsewhere: Elsewhere) -> None:
    assert elsewhere.azr("prompts", "show", "deduction/solve").strip()


def test_a_program_runs_in_the_guest_of_the_wheel(elsewhere: Elsewhere) -> None:
    line = json.dumps({"id": "one", "program": "def f(x):\n    return x * 2", "inputs": ["21"]})
    answered = json.loads(elsewhere.azr("exec", "--workers", "1", stdin=line + "\n"))
    assert answered == {"id": "one", "results": [{"status": "ok", "output": "42"}]}
