"""`azr prompts`: every cell in every frame, as a model would get it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from azr.cli.main import EXIT_ERROR, EXIT_USAGE, main
from azr.cli.prompts import cells, example_prompt
from azr.game import frames
from azr.game.types import Cell
from azr.tiny import shipped


def test_the_list_names_cells_and_frames(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prompts", "list"]) == 0
    told = capsys.readouterr().out.split()
    assert {"deduction/propose", "induction/solve", "composite/propose", "r1", "compact", "chat"} <= set(told)
    assert len(cells()) == 10


@pytest.mark.parametrize("frame", ["r1", "compact"])
@pytest.mark.parametrize("cell", [str(cell) for cell in cells()])
def test_each_cell_is_shown_filled_in(capsys: pytest.CaptureFixture[str], cell: str, frame: str) -> None:
    assert main(["prompts", "show", cell, "--frame", frame]) == 0
    shown = capsys.readouterr().out
    assert shown == example_prompt(Cell.of(cell), frames.frame(frame)) + "\n"
    assert shown.strip()


def test_the_chat_frame_wants_a_tokenizer(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prompts", "show", "deduction/solve", "--frame", "chat"]) == EXIT_USAGE
    assert "--tokenizer" in capsys.readouterr().err
    chat = frames.frame("chat", lambda messages: f"[{messages[0]['role']}]")
    assert example_prompt(Cell.of("deduction/solve"), chat) == "[user]"


def test_a_tokenizer_that_is_not_there_or_has_no_chat_template_is_told_with_its_mend(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    show = ["prompts", "show", "deduction/solve", "--frame", "chat", "--tokenizer"]
    assert main([*show, str(tmp_path / "mistyped")]) == EXIT_ERROR
    assert "mistyped cannot be loaded: " in (told := capsys.readouterr().err)
    assert "mend: name one that has a chat template: --tokenizer" in told
    shutil.copy(shipped.folder() / "tokenizer.json", tmp_path)
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
    assert main([*show, str(tmp_path)]) == EXIT_ERROR
    assert f"the tokenizer of {tmp_path} has no chat template" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "help_given"),
    [
        (("deduction/solv",), "did you mean 'deduction/solve'"),
        (("deduction/solve", "--frame", "r11"), "did you mean 'r1'"),
    ],
)
def test_a_slip_of_the_pen_is_told_the_nearest(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], help_given: str
) -> None:
    assert main(["prompts", "show", *arguments]) == EXIT_USAGE
    assert help_given in capsys.readouterr().err
