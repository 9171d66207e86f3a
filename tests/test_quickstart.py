"""The command line takes what the quickstart page has people type, and the page names the folders of its own runs."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

import azr
from azr.cli.main import main
from azr.run.folder import Card, RunFolder

ROOT = Path(azr.__file__).parents[1]
PAGE = (ROOT / "docs" / "quickstart.md").read_text()

#: Lines that are typed, with what is said of them.
TYPED = re.findall(r"^\$ (.+)$", PAGE, flags=re.MULTILINE)
AZR = [line for line in TYPED if line.startswith("azr ")]


def words_of(line: str) -> list[str]:
    """The line as a shell would read it, without its comment and the program's name."""
    return shlex.split(line, comments=True)[1:]


def test_the_page_was_read() -> None:
    assert len(AZR) >= 8
    assert [line for line in TYPED if line.startswith("make run")] == ["make run RUN=first"]


def test_make_run_makes_the_run_that_the_page_goes_on_with() -> None:
    made = subprocess.run(
        ["make", "-n", *words_of("make run RUN=first")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    assert re.search(r"azr train --config tiny run\.name=first *$", made, flags=re.MULTILINE)


def test_the_page_names_the_folders_of_its_own_runs_and_no_other() -> None:
    begins = r"^\$ (?!.*--dry-run).*(?:run\.name|RUN)=(\w+)"
    begun = {f"runs/{name}" for name in re.findall(begins, PAGE, flags=re.MULTILINE)}
    assert begun == set(re.findall(r"\bruns/\w+\b(?!\.db)", PAGE))


@pytest.mark.parametrize("line", [line for line in AZR if words_of(line)[0] == "train"])
def test_a_train_command_plans_a_run_or_is_refused_where_the_page_says_so(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = words_of(line)
    if "--resume" in words:
        run = RunFolder(tmp_path / words[words.index("--resume") + 1])
        run.root.parent.mkdir()
        run.create(Card(name=run.root.name, started=0.0))
        run.config.write_text("run: {minutes: 10}\nmodel: {path: tiny}\n")
    status = main(words if "--dry-run" in words else [*words, "--dry-run"])
    assert (status == 0) is ("# refused" not in line)


@pytest.mark.parametrize("line", [line for line in AZR if words_of(line)[0] != "train"])
def test_other_commands_are_understood(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As far as there is nothing to report of: the run is not made here."""
    monkeypatch.chdir(tmp_path)
    assert main(words_of(line)) == 0 or "runs/first holds no metrics.jsonl" in capsys.readouterr().err
