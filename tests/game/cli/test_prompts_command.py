"""`azr prompts`: every cell in every frame, as a model would get it."""

from __future__ import annotations

import pytest

from azr.cli.main import EXIT_USAGE, main
from azr.cli.prompts import cells, example_prompt
from azr.game.types import Cell


def test_the_list_names_cells_and_frames(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prompts", "list"]) == 0
    told = capsys.readouterr().out.split()
    assert {"deduction/propose", "induction/solve", "composite/propose", "r1", "compact", "chat", "boxed"} <= set(told)
    assert len(cells()) == 10


@pytest.mark.parametrize("frame", ["r1", "compact"])
@pytest.mark.parametrize("cell", [str(cell) for cell in cells()])
def test_each_cell_is_shown_filled_in(capsys: pytest.CaptureFixture[str], cell: str, frame: str) -> None:
    assert main(["prompts", "show", cell, "--frame", frame]) == 0
    shown = capsys.readouterr().out
    assert shown == example_prompt(Cell.of(cell), frame) + "\n"
    assert shown.strip()


def test_the_chat_frame_wants_a_tokenizer(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prompts", "show", "deduction/solve", "--frame", "chat"]) == EXIT_USAGE
    assert "--tokenizer" in capsys.readouterr().err
    shown = example_prompt(Cell.of("deduction/solve"), "chat", lambda messages: f"[{messages[0]['role']}]")
    assert shown == "[user]"


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
