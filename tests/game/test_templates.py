"""Templates: filled in one pass, whole or not at all; and every prompt of every cell."""

from __future__ import annotations

import importlib.resources
import re

import pytest

from azr.game import tasks, templates
from azr.game.frames import frame
from azr.game.play import propose_prompt, solve_prompt
from azr.game.tasks import Ask
from azr.game.templates import fenced, fill


def test_values_are_not_looked_into() -> None:
    assert fill("{a} and {b}", a="{b}", b="{a}") == "{b} and {a}"
    assert fill("{a}{a}", a="x") == "xx"
    assert fill(r"\boxed{} {1} {A} {}") == r"\boxed{} {1} {A} {}"
    assert fill("{a}", a=r"\1 \g<0>") == r"\1 \g<0>"


def test_what_is_missing_and_what_is_too_much_is_named() -> None:
    with pytest.raises(ValueError, match=r"no value for \['b'\], no place for \['c'\]"):
        fill("{a} {b}", a="1", c="2")


@pytest.mark.parametrize(("body", "fence"), [("x", "```"), ("```", "````"), ("a ```` b ``` c", "`````"), ("`", "```")])
def test_a_fence_is_longer_than_what_it_holds(body: str, fence: str) -> None:
    assert fenced("python", body) == f"{fence}python\n{body}\n{fence}"


def test_every_template_file_is_used_and_ends_where_it_should() -> None:
    folder = importlib.resources.files("azr.game") / "prompts"
    found = {f"{part.name}/{file.name}" for part in folder.iterdir() for file in part.iterdir()}
    assert len(found) == 25
    for name in found:
        text = templates.template(name.removesuffix(".txt"))
        assert not re.search(r"[ \t]\n", text), name


@pytest.mark.parametrize("style", ["r1", "compact", "chat"])
@pytest.mark.parametrize("name", tasks.names())
def test_every_cell_has_its_prompts_in_every_frame(name: str, style: str) -> None:
    kind = tasks.task_type(name)
    shape = frame(style, chat_template=lambda messages: messages[0]["content"])
    example = kind.example()
    proposing = propose_prompt(kind, Ask(references=(example,), components=example.components), shape)
    solving = solve_prompt(example, kind, shape)
    if name != "induction":
        assert example.program in solving
    hidden = {"deduction": example.outputs[0], "abduction": f"({example.inputs[0]})", "error": example.outputs[0]}
    assert hidden.get(name, "never") not in solving
    assert example.program in proposing
    assert not re.search(r"\{[a-z_]+\}", proposing.replace(example.program, ""))
    if style == "compact":
        assert len(proposing) - len(example.program) - len("".join(example.components)) < 60
        for part in (example.program, *example.inputs, *example.outputs, example.message):
            solving = solving.replace(part, "")
        assert len(solving) < 60


def test_references_are_shown_and_their_absence_is_not_mentioned() -> None:
    kind = tasks.task_type("deduction")
    one, none = (kind.propose_prompt(Ask(references=known), "full") for known in ((kind.example(),), ()))
    assert one.startswith(none)
    assert "Task 1" in one
    assert "exist already" not in none
    assert kind.propose_prompt(Ask(), "compact") == "#d\n"
