"""Frames: what stands around a prompt, and where the answer is."""

from __future__ import annotations

import pytest

from azr.game import frames
from azr.game.frames import frame
from azr.game.types import Refusal

BRACES = "def f(a):\n    return {question: '{program}'}[a]"


def extracted(name: str, response: str) -> str:
    """The answer, or the word of the refusal in brackets."""
    found = frame(name, chat_template=lambda messages: "").extract(response)
    return f"<{found.reason}>" if isinstance(found, Refusal) else found


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        ("so </think> <answer> 1 </answer>", " 1 "),
        ("so </think>\n<answer>\n1\n</answer>\n", "1"),
        ("</think><answer>1</answer> trailing", "1"),
        ("</think><answer>draft</answer> no: <answer>2</answer>", "2"),
        ("</think><answer>a</answer>b</answer>", "a"),
        ("<think> again </think><answer>1</answer>", "1"),
        ("<answer>1</answer>", "<thought_unfinished>"),
        ("<answer>1</answer></think>", "<no_answer_tag>"),
        ("</think> 1", "<no_answer_tag>"),
        ("</think><answer>1", "<answer_unfinished>"),
        ("</think><answer>1</answer><answer>", "<answer_unfinished>"),
        ("</think><answer> \n</answer>", "<empty_answer>"),
        ("", "<thought_unfinished>"),
    ],
)
def test_r1_wants_closed_thoughts_and_then_a_closed_answer(response: str, answer: str) -> None:
    assert extracted("r1", response) == answer


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        ("1", "1"),
        ("<think>so</think>\n\n1", "1"),
        ("<think>so</think><answer>1</answer>", "1"),
        ("no thoughts <answer>1</answer>", "1"),
        ("<answer>0</answer></think>1", "1"),
        ("<think> on and on", "<thought_unfinished>"),
        ("<think>so</think> ", "<empty_answer>"),
        ("<answer>1", "<answer_unfinished>"),
        ("", "<empty_answer>"),
    ],
)
def test_chat_takes_thoughts_and_tags_or_none(response: str, answer: str) -> None:
    assert extracted("chat", response) == answer


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        ("\n1\n", "1"),
        ("def f(a):\n return a\n#i 1", "def f(a):\n return a\n#i 1"),
        (" \n", "<empty_answer>"),
        ("#t 2+3\n5", "5"),
        ("\n#t 2+3=5\n#t 5*2\n10\n", "10"),
        ("#t sum([a])\ndef f(a):\n return a  #t", "def f(a):\n return a  #t"),
        ("#t 2+3\n5\n#t or 6", "5\n#t or 6"),
        ("#total of a list\ndef f(a):\n return sum(a)", "#total of a list\ndef f(a):\n return sum(a)"),
        ("#t 2+3", "<thought_unfinished>"),
        ("#t 2+3\n \n", "<thought_unfinished>"),
    ],
)
def test_compact_takes_all_that_follows_the_first_lines_of_thought(response: str, answer: str) -> None:
    assert extracted("compact", response) == answer


@pytest.mark.parametrize("name", frames.names())
@pytest.mark.parametrize("answer", ["1", "```output\n{'a': '<think>'}\n```"])
def test_a_response_as_the_frame_asks_for_it_holds_the_answer(name: str, answer: str) -> None:
    around = frame(name, chat_template=lambda messages: "")
    assert around.extract(around.respond(answer)) == answer


@pytest.mark.parametrize("name", ["r1", "compact"])
def test_braces_in_a_question_mean_nothing(name: str) -> None:
    assert BRACES in frame(name).wrap(BRACES)


def test_r1_follows_the_published_structure() -> None:
    prompt = frame("r1").wrap("QUESTION")
    assert prompt.startswith("A conversation between User and Assistant.")
    assert "<think> the reasoning </think> <answer> the answer </answer>" in prompt
    assert prompt.endswith("User: QUESTION\nAssistant: <think>")


def test_chat_is_the_tokenizers_own_template() -> None:
    shape = frame("chat", lambda messages: "|".join(f"{m['role']}={m['content']}" for m in messages))
    assert shape.wrap(BRACES) == f"user={BRACES}"
    with pytest.raises(ValueError, match="needs a tokenizer"):
        frame("chat")


def test_an_unknown_frame_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="known: compact, r1, chat"):
        frame("r2")
    assert frames.names() == ("compact", "r1", "chat")
