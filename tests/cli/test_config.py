"""`azr config` shows presets, the resolved configuration and the reference."""

from __future__ import annotations

from pathlib import Path

import pytest

from azr.cli.main import EXIT_ERROR, main
from azr.config import load, preset_names, resolved_yaml
from azr.config.reference import markdown


def test_show_prints_what_a_run_would_see(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "show", "--config", "algorithm/paper", "run.seed=7"]) == 0
    assert capsys.readouterr().out == resolved_yaml(load(["algorithm/paper"], ["run.seed=7"]))


def test_what_show_prints_is_a_file_that_can_be_given_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["config", "show", "algorithm=paper"])
    path = tmp_path / "resolved.yaml"
    path.write_text(shown := capsys.readouterr().out)
    main(["config", "show", "--config", str(path)])
    assert capsys.readouterr().out == shown


def test_presets_lists_all_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "presets"]) == 0
    assert capsys.readouterr().out.split() == preset_names()


def test_reference_prints_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "reference"]) == 0
    assert capsys.readouterr().out == markdown()


def test_a_name_that_is_not_utf_8_is_refused_in_words_that_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "show", "run.name=o\udcff"]) == EXIT_ERROR
    told = capsys.readouterr()
    assert told.out == ""
    assert r"'run.name=o\udcff' is not UTF-8" in told.err
    told.err.encode()


def test_a_mistake_is_told_and_nothing_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "show", "run.sed=7"]) == EXIT_ERROR
    told = capsys.readouterr()
    assert told.out == ""
    assert "did you mean 'run.seed'?" in told.err
