"""`azr prompts`: shows the prompts a model is given, filled in with built-in examples."""

from __future__ import annotations

import argparse
from typing import get_args

from azr.config.sections.model import ModelConfig
from azr.errors import AzrError, UsageError
from azr.game import frames, tasks
from azr.game.frames import Frame
from azr.game.play import propose_prompt, solve_prompt
from azr.game.tasks import Ask
from azr.game.types import Cell, Role
from azr.names import did_you_mean
from azr.tiny import shipped

SUMMARY = "Show the prompts a model is given."
EPILOG = """examples:
  azr prompts list
  azr prompts show deduction/solve
  azr prompts show induction/propose --frame compact
  azr prompts show abduction/solve --frame chat --tokenizer Qwen/Qwen2.5-Coder-3B
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    actions.add_parser("list", help="the cells of the game and the frames")
    show = actions.add_parser("show", help="one prompt, filled in")
    show.add_argument("cell", metavar="CELL", help="task/role, for example deduction/solve")
    show.add_argument(
        "--frame", default="r1", metavar="NAME", help=f"one of: {', '.join(frames.names())} (default: r1)"
    )
    show.add_argument(
        "--tokenizer", metavar="NAME", help="whose chat template the frame chat uses: a folder or a hub name"
    )


def run(arguments: argparse.Namespace) -> int:
    """List, or show."""
    if arguments.action == "list":
        print("cells:", *(f"  {cell}" for cell in cells()), sep="\n")
        print("frames:", *(f"  {name}" for name in frames.names()), sep="\n")
        return 0
    print(example_prompt(_cell(arguments.cell), _frame(arguments.frame, arguments.tokenizer)))
    return 0


def cells() -> list[Cell]:
    """Every cell of every registered task type."""
    return [Cell(task=name, role=role) for name in tasks.names() for role in get_args(Role)]


def example_prompt(cell: Cell, frame: Frame) -> str:
    """The prompt of a cell with its built-in example in it."""
    kind = tasks.task_type(cell.task)
    example = kind.example()
    if cell.role == "propose":
        return propose_prompt(kind, Ask(references=(example,), components=example.components), frame)
    return solve_prompt(example, kind, frame)


def _cell(text: str) -> Cell:
    known = {str(cell): cell for cell in cells()}
    if text not in known:
        raise UsageError(f"no cell is called {text!r}; {did_you_mean(text, known)}", "azr prompts list shows them all")
    return known[text]


def _frame(name: str, tokenizer: str | None) -> Frame:
    if name not in frames.names():
        raise UsageError(f"no frame is called {name!r}; {did_you_mean(name, frames.names())}")
    if name != "chat":
        return frames.frame(name)
    if tokenizer is None:
        raise UsageError("the frame chat is the tokenizer's own", "name one: --tokenizer FOLDER-OR-HUB-NAME")
    from actors.players.tokens import load_tokens

    try:
        return load_tokens(ModelConfig(path=shipped.resolve(tokenizer), frame=name)).frame
    except AzrError as error:
        raise AzrError(error.what, "name one that has a chat template: --tokenizer FOLDER-OR-HUB-NAME") from error
