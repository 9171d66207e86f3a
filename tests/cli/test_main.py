"""What every command shares: help, nearest names, exit statuses, and no waiting for packages that are not needed."""

from __future__ import annotations

import argparse
import errno
import importlib
import subprocess
import sys
import types
from pathlib import Path

import pytest

from azr.cli import main as cli
from azr.errors import AzrError
from sandbox_wasm.dispatcher import SandboxBrokenError
from sandbox_wasm.registry import BackendConfigurationError, UnknownBackendError

#: What `azr --help` may cost in processor time; a person notices from here on.
HELP_CPU_SECONDS = 1.0

#: Packages that take seconds to import.
HEAVY = ("torch", "ray", "vllm", "transformers", "mlflow", "matplotlib", "pandas", "scipy")

_SPAWN_SECONDS = 60


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A command called `probe`, whose `run` a test replaces."""
    module = types.ModuleType("probe_command")
    module.SUMMARY = "Probe."  # type: ignore[attr-defined]
    module.EPILOG = "examples:\n  azr probe 3\n"  # type: ignore[attr-defined]
    module.add_arguments = lambda parser: parser.add_argument("number", type=int)  # type: ignore[attr-defined]
    module.run = lambda arguments: int(arguments.number)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "probe_command", module)
    monkeypatch.setattr(cli, "COMMANDS", (cli.Command("probe", "probe_command", "probes"), *cli.COMMANDS))
    return module


def _ends_with(command: types.ModuleType, error: BaseException) -> None:
    def run(_: argparse.Namespace) -> int:
        raise error

    command.run = run  # type: ignore[attr-defined]


def _spawned(*code_or_words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *code_or_words], capture_output=True, text=True, timeout=_SPAWN_SECONDS, check=False
    )


def test_help_is_quick_and_imports_nothing_heavy() -> None:
    answer = _spawned(
        "-c",
        "import sys, time\n"
        "from azr.cli.main import main\n"
        "status = main(['--help'])\n"
        f"heavy = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "print(status, heavy, time.process_time(), file=sys.stderr)",
    )
    status, heavy, seconds = answer.stderr.split(maxsplit=1)[0], "[]" in answer.stderr, answer.stderr.split()[-1]
    assert status == "0"
    assert heavy, answer.stderr
    assert float(seconds) < HELP_CPU_SECONDS


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["help"]])
def test_help_names_every_command_with_what_it_is_for(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(words) == 0
    told = capsys.readouterr().out
    for command in cli.COMMANDS:
        assert f"  {command.name} " in told
        assert command.summary in told


def test_no_words_at_all_show_the_help_and_are_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == cli.EXIT_USAGE
    assert "commands:" in capsys.readouterr().out


@pytest.mark.parametrize("command", cli.COMMANDS, ids=lambda command: command.name)
def test_each_command_teaches_with_examples(command: cli.Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([command.name, "--help"]) == 0
    told = capsys.readouterr().out
    assert f"usage: azr {command.name}" in told
    assert f"azr {command.name}" in told.partition("examples:")[2], "the epilog shows no example of the command"


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("azr ")


@pytest.mark.parametrize(("word", "nearest"), [("exce", "exec"), ("verfy", "verify"), ("Doctor", "doctor")])
def test_an_unknown_command_is_refused_with_the_nearest_name(
    word: str, nearest: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([word]) == cli.EXIT_USAGE
    assert f"did you mean {nearest!r}?" in capsys.readouterr().err


def test_what_a_command_returns_is_the_exit_status(command: types.ModuleType) -> None:
    assert cli.main(["probe", "3"]) == 3


def test_wrong_arguments_are_wrong_usage(command: types.ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["probe", "three"]) == cli.EXIT_USAGE
    assert "invalid int value: 'three'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["run.seed=7", "run.name=a", "--config", "tiny"],
        ["--config", "tiny", "run.seed=7", "run.name=a"],
        ["run.seed=7", "--config", "tiny", "run.name=a"],
    ],
    ids=" ".join,
)
def test_overrides_stand_before_or_behind_options(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """One level of sub-commands down, as in `azr config show` and `azr seed make`."""
    assert cli.main(["config", "show", *words]) == 0
    shown = capsys.readouterr().out
    assert "seed: 7" in shown and "name: a" in shown


@pytest.mark.parametrize("words", [["run.seed=7", "--config", "tiny", "stray"], ["--config", "tiny", "--no-such=1"]])
def test_what_is_neither_an_option_nor_an_override_is_refused(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["config", "show", *words]) == cli.EXIT_USAGE
    assert f"unrecognized arguments: {words[-1]}" in capsys.readouterr().err


def test_no_overrides_are_taken_where_there_is_no_configuration(
    command: types.ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["probe", "3", "run.seed=7"]) == cli.EXIT_USAGE
    assert "unrecognized arguments: run.seed=7" in capsys.readouterr().err


def test_an_expected_error_is_told_with_its_mend_and_no_traceback(
    command: types.ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    _ends_with(command, AzrError("the disk is full", "delete old runs"))
    assert cli.main(["probe", "1"]) == cli.EXIT_ERROR
    assert capsys.readouterr().err == "azr: error: the disk is full\n  mend: delete old runs\n"


@pytest.mark.parametrize("words", [["--debug", "probe", "1"], ["probe", "1", "--debug"]])
def test_debug_adds_the_traceback(
    command: types.ModuleType, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    _ends_with(command, AzrError("the disk is full"))
    assert cli.main(words) == cli.EXIT_ERROR
    assert "Traceback" in (told := capsys.readouterr().err)
    assert told.endswith("azr: error: the disk is full\n")


def test_a_defect_of_ours_keeps_its_traceback(command: types.ModuleType) -> None:
    _ends_with(command, ZeroDivisionError("ours"))
    with pytest.raises(ZeroDivisionError):
        cli.main(["probe", "1"])


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            PermissionError(errno.EACCES, "Permission denied", "/data/runs"),
            "/data/runs: Permission denied\n  mend: let this user at it, or name another place",
        ),
        (
            FileNotFoundError(errno.ENOENT, "No such file or directory", "seeds.jsonl"),
            "seeds.jsonl: No such file or directory\n  mend: check the path",
        ),
        (
            OSError(errno.ENOSPC, "No space left on device"),
            "No space left on device\n  mend: make room there, or name another place",
        ),
        (
            OSError(errno.EIO, "Input/output error", "/data/x"),
            "/data/x: Input/output error\n  mend: azr --debug shows where it was met",
        ),
    ],
)
def test_what_the_system_says_of_a_file_is_told_like_an_error(
    command: types.ModuleType, error: OSError, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _ends_with(command, error)
    assert cli.main(["probe", "1"]) == cli.EXIT_ERROR
    assert capsys.readouterr().err == f"azr: error: {told}\n"


@pytest.mark.parametrize("error", [ConnectionError("nobody answers"), TimeoutError(errno.ETIMEDOUT, "timed out")])
def test_what_the_system_says_of_no_file_keeps_its_traceback(command: types.ModuleType, error: OSError) -> None:
    _ends_with(command, error)
    with pytest.raises(type(error)):
        cli.main(["probe", "1"])


@pytest.mark.parametrize(
    ("error", "mend"),
    [
        (SandboxBrokenError("workers cannot be started"), "azr doctor shows what works on this machine"),
        (UnknownBackendError("no such back end"), "set sandbox.backend, and sandbox.options for what it takes"),
        (BackendConfigurationError("no such option"), "set sandbox.backend, and sandbox.options for what it takes"),
    ],
)
def test_a_sandbox_that_fails_is_told_like_an_error(
    command: types.ModuleType, error: Exception, mend: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _ends_with(command, error)
    assert cli.main(["probe", "1"]) == cli.EXIT_ERROR
    assert capsys.readouterr().err == f"azr: error: {error}\n  mend: {mend}\n"


def test_a_folder_for_runs_that_cannot_be_made_is_told_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    words = ["train", "--config", "tiny", f"run.folder={tmp_path}/file/runs", "checkpoint.free_gb=0"]
    assert cli.main(words) == cli.EXIT_ERROR
    told = capsys.readouterr().err
    assert f"{tmp_path}/file/runs" in told and "a file stands where a folder must be" in told


@pytest.mark.parametrize(
    "words",
    [["seed", "make", "tiny"], ["seed", "import", "none.jsonl"], ["eval", "tiny"], ["tiny", "evaluate", "none"]],
    ids=" ".join,
)
def test_a_file_that_cannot_be_written_is_told_before_the_work(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert cli.main([*words, "--output", str(tmp_path / "file" / "out.jsonl")]) == cli.EXIT_ERROR
    assert "a file stands where a folder must be" in capsys.readouterr().err


def test_an_error_cannot_act_on_the_terminal(command: types.ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    _ends_with(command, AzrError("model wrote \x1b]0;owned\x07 and \u202e"))
    cli.main(["probe", "1"])
    assert "\x1b" not in (told := capsys.readouterr().err)
    assert "\\x1b]0;owned\\x07" in told
    assert "\\u202e" in told


def test_ctrl_c_ends_quietly_with_130(command: types.ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    _ends_with(command, KeyboardInterrupt())
    assert cli.main(["probe", "1"]) == cli.EXIT_INTERRUPTED
    assert "Traceback" not in capsys.readouterr().err


def test_a_reader_that_goes_away_is_no_error() -> None:
    answer = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {sys.executable} -m azr.cli.main config reference | head -c 10"],
        capture_output=True,
        text=True,
        timeout=_SPAWN_SECONDS,
        check=False,
    )
    assert answer.stdout == "# Configur"
    assert answer.stderr == ""


def test_a_reader_that_leaves_a_page_of_findings_is_no_error_either() -> None:
    answer = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m azr.cli.main doctor | head -n 1; echo ${{PIPESTATUS[0]}}"],
        capture_output=True,
        text=True,
        timeout=_SPAWN_SECONDS,
        check=False,
    )
    assert answer.stdout == f"packages\n{cli.EXIT_BROKEN_PIPE}\n"
    assert answer.stderr == ""


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_standard_streams_that_were_closed_lead_nowhere(closed: str) -> None:
    answer = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m azr.cli.main config presets {closed}"],
        capture_output=True,
        text=True,
        timeout=_SPAWN_SECONDS,
        check=False,
    )
    assert (answer.returncode, answer.stderr) == (0, "")
    assert ("tiny" in answer.stdout) == (">&-" not in closed.split())


def test_a_missing_optional_package_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def find(_: str) -> types.ModuleType:
        raise ModuleNotFoundError("No module named 'vllm'", name="vllm")

    monkeypatch.setattr(importlib, "import_module", find)
    assert cli.main(["doctor"]) == cli.EXIT_ERROR
    assert "'vllm', which is not installed" in capsys.readouterr().err


def test_the_table_names_modules_that_keep_the_interface() -> None:
    for command in cli.COMMANDS:
        _, module = cli.parser_of(command)
        assert module.SUMMARY.strip()
        assert module.EPILOG.strip()
        assert callable(module.run)
