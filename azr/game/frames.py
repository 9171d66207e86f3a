"""Frames: what stands around a prompt, and where in a response the answer is.

    body ──wrap──► prompt ──model──► response ──extract──► answer text, or a Refusal

`r1`       the think/answer conversation for base models; the prompt ends inside the model's thoughts
`chat`     the tokenizer's own template, injected; the thoughts and the answer tag may be there or not
`compact`  nothing around it: the tiny model's style; lines that begin with `#t` are thoughts, the answer follows them
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import takewhile

import msgspec

from azr.game.reasons import refused
from azr.game.tasks.base import Style
from azr.game.templates import fill, template
from azr.game.types import Refusal

ChatTemplate = Callable[[Sequence[Mapping[str, str]]], str]

_THOUGHT_OPENS, _THOUGHT_CLOSES = "<think>", "</think>"
_ANSWER_OPENS, _ANSWER_CLOSES = "<answer>", "</answer>"

#: Opens a line of thought before an answer in frame `compact`.
THOUGHT = "#t"


class Frame(msgspec.Struct, frozen=True):
    """How a body becomes a prompt and a response gives up its answer."""

    name: str
    style: Style
    wrap: Callable[[str], str]
    extract: Callable[[str], str | Refusal]
    respond: Callable[[str], str] = lambda answer: answer
    """A response that gives this answer as the frame asks, for what must know whether `extract` would find it."""


def frame(name: str, chat_template: ChatTemplate | None = None) -> Frame:
    """The frame of that name; `chat` needs the tokenizer's template."""
    if name == "chat":
        if chat_template is None:
            raise ValueError("the frame chat needs a tokenizer's chat template; r1 and compact need none")
        wrap = lambda body: chat_template([{"role": "user", "content": body}])  # noqa: E731
        return Frame("chat", "full", wrap, after_thought, lambda answer: f"{_THOUGHT_CLOSES}\n\n{answer}")
    if name not in _EXTRACTORS:
        raise ValueError(f"no frame is called {name!r}; known: {', '.join(names())}")
    around, style = template(f"frames/{name}"), _STYLES[name]
    return Frame(name, style, lambda body: fill(around, question=body), _EXTRACTORS[name], _RESPONDERS[name])


def names() -> tuple[str, ...]:
    """The frames that exist."""
    return (*sorted(_EXTRACTORS), "chat")


def tagged_answer(response: str) -> str | Refusal:
    """Frame `r1`: thoughts are closed, then an answer tag holds the answer. The last answer tag counts."""
    opened = response.rfind(_ANSWER_OPENS)
    thought = response.find(_THOUGHT_CLOSES)
    if thought < 0 or 0 <= opened < thought:
        return refused("thought_unfinished" if thought < 0 else "no_answer_tag")
    if opened < 0:
        return refused("no_answer_tag")
    return _inside_answer(response, opened)


def after_thought(response: str) -> str | Refusal:
    """Frame `chat`: what follows the thoughts if there are any, inside the answer tag if there is one."""
    closed = response.rfind(_THOUGHT_CLOSES)
    if closed < 0 and response.lstrip().startswith(_THOUGHT_OPENS):
        return refused("thought_unfinished")
    said = response[closed + len(_THOUGHT_CLOSES) :] if closed >= 0 else response
    if (opened := said.rfind(_ANSWER_OPENS)) >= 0:
        return _inside_answer(said, opened)
    return said.strip("\n") if said.strip() else refused("empty_answer")


def after_lines_of_thought(response: str) -> str | Refusal:
    """Frame `compact`: the response is the answer, after any lines of thought."""
    lines = response.strip("\n").split("\n")
    thoughts = sum(1 for _ in takewhile(begins_with_thought, lines))
    answer = "\n".join(lines[thoughts:]).strip("\n")
    if answer.strip():
        return answer
    return refused("thought_unfinished" if thoughts else "empty_answer")


def begins_with_thought(text: str) -> bool:
    """By its whole first word: a program may open with a comment like `#total of …`."""
    return text.startswith(THOUGHT) and text[len(THOUGHT) :][:1] in ("", " ", "\n")


def _inside_answer(text: str, opened: int) -> str | Refusal:
    start = opened + len(_ANSWER_OPENS)
    end = text.find(_ANSWER_CLOSES, start)
    if end < 0:
        return refused("answer_unfinished")
    answer = text[start:end].strip("\n")
    return answer if answer.strip() else refused("empty_answer")


_STYLES: dict[str, Style] = {"r1": "full", "compact": "compact"}

_EXTRACTORS: dict[str, Callable[[str], str | Refusal]] = {
    "r1": tagged_answer,
    "compact": after_lines_of_thought,
}

_RESPONDERS: dict[str, Callable[[str], str]] = {
    "r1": lambda answer: f"{_THOUGHT_CLOSES} {_ANSWER_OPENS}\n{answer}\n{_ANSWER_CLOSES}",
    "compact": lambda answer: answer,
}
