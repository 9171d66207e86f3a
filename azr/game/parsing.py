"""Reading responses as text: fenced blocks, tags, headings and the terse lines of the compact style.

Tolerant of layout and strict of meaning: a block may be labelled by its fence, by a tag or by a heading, and blocks may
come in any order; what stands in them is passed on as it is, for the guest to judge. Nothing here knows Python, nothing
raises, and every function walks the text a fixed number of times, whatever the text holds. Called by the task types.

    response ──Frame.extract──► answer ──blocks / tagged / headed──► program, input, output, message
                                   └──────marked (compact)──────────►
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import msgspec

_FENCE = "```"

#: Labels under which a program may stand; a bare fence is the last resort.
PYTHON_LABELS = frozenset({"python", "py", "python3", "py3"})

#: Labels that open a new block even inside an unclosed one.
_KNOWN_LABELS = PYTHON_LABELS | {"input", "output", "message", "error"}

_DEFINES_ENTRY = re.compile(r"^[ \t]*(?:async[ \t]+)?def[ \t]+f[ \t]*\(", re.MULTILINE)
_BACKTICKS = re.compile(r"`+")
_HEADING = r"^[ \t#*>_-]*{label}[ \t*_]*(?:[0-9]+[ \t*_]*)?:"  # no two stars of one class may meet: quadratic
_BLANK_LINES = re.compile(r"(?:[ \t]*\n)*")
_PARAGRAPH_ENDS = re.compile(r"\n[ \t]*\n")
_MARK = re.compile(r"^#([iomef])(?: |$)", re.MULTILINE)  # input, output, message, error, program (f)
_BEGINS_LIKE_CODE = re.compile(r"(?:import|from|def|class|async|@)\b|@")


class Block(msgspec.Struct, frozen=True):
    """A fenced block: the first word after its fence, lower-cased, and what stands inside."""

    label: str
    body: str
    start: int = 0
    """Where the line begins on which it opens, so that a heading can claim it."""
    end: int = 0
    """Where the line after it begins."""


def blocks(text: str) -> list[Block]:
    """All fenced blocks in order. One that is never closed reaches to the end, or to the next labelled fence."""
    return list(_blocks(_with_plain_line_ends(text)))


def _with_plain_line_ends(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _blocks(text: str) -> Iterator[Block]:
    position = 0  # always the beginning of a line
    while (at := text.find(_FENCE, position)) >= 0:
        start, line_end = _line_around(text, position, at)
        after = _BACKTICKS.match(text, at).end()  # type: ignore[union-attr]  # at least the three that were found
        fence = text[at:after]
        position = line_end + 1
        closing = text.find(fence, after, line_end)
        if closing >= 0:
            label, body = _inline(text[after:closing])
            yield Block(label, body, start, position)
            continue
        label, body_start = _label_of(text[after:line_end]), position
        body_end, position = _closing(text, body_start, fence)
        margin = text[start:at]
        yield Block(label, _dedented(text[body_start:body_end], margin), start, position)


def _line_around(text: str, position: int, at: int) -> tuple[int, int]:
    """Beginning and end of the line that holds `at`, given that a line begins at `position`."""
    end = text.find("\n", at)
    return max(position, text.rfind("\n", position, at) + 1), end if end >= 0 else len(text)


def _closing(text: str, position: int, fence: str) -> tuple[int, int]:
    """Where the body ends that begins at `position`, and where the line after the block begins."""
    while (at := text.find(_FENCE, position)) >= 0:
        start, end = _line_around(text, position, at)
        line = text[start:end].strip()
        if line.startswith(_FENCE):
            rest = line.lstrip("`")
            if not rest and len(line) >= len(fence):
                return start, end + 1
            if rest and _label_of(rest) in _KNOWN_LABELS:
                return start, start  # the next block opens here; this one was never closed
        elif line.endswith(fence):
            return start + text[start:end].rindex(fence), end + 1
        position = end + 1
    return len(text), len(text)


def _label_of(rest: str) -> str:
    words = rest.split(maxsplit=1)
    return words[0].strip("{}.:").lower() if words else ""


def _inline(content: str) -> tuple[str, str]:
    word, _, rest = content.strip().partition(" ")
    if word.lower() in _KNOWN_LABELS and rest.strip():
        return word.lower(), rest.strip()
    return "", content.strip()


def _dedented(body: str, margin: str) -> str:
    """The body without the margin that its fence had, where all its lines have it."""
    if margin and not margin.strip():
        lines = body.split("\n")
        if all(line.startswith(margin) or not line.strip() for line in lines):
            body = "\n".join(line[len(margin) :] for line in lines)
    return body.strip("\n")


def program_in(text: str) -> str | None:
    """The program: the last block that defines `f`, labelled ones first; else the last labelled one, or bare one."""
    found = blocks(text)
    labelled = [block.body for block in found if block.label in PYTHON_LABELS]
    bare = [block.body for block in found if block.label == ""]
    for bodies in (labelled, bare):
        for body in reversed(bodies):
            if _DEFINES_ENTRY.search(body):
                return body
    for bodies in (labelled, bare):
        if bodies and bodies[-1].strip():
            return bodies[-1]
    if not found and _DEFINES_ENTRY.search(text) and _BEGINS_LIKE_CODE.match(text.strip()):
        return text.strip()
    return None


def labelled(text: str, label: str) -> list[str]:
    """What stands under a label, in order: in fenced blocks, else in tags, else after headings; empty ones left out."""
    text = _with_plain_line_ends(text)
    found = list(_blocks(text))
    bodies = [block.body for block in found if block.label == label]
    bodies = bodies or list(_tagged(text, label)) or list(_headed(text, found, label))
    return [body.strip() for body in bodies if body.strip()]


def _tagged(text: str, label: str) -> Iterator[str]:
    opening, closing = f"<{label}>", f"</{label}>"
    position = 0
    while (start := text.find(opening, position)) >= 0:
        start += len(opening)
        end = text.find(closing, start)
        if end < 0:
            return
        yield text[start:end]
        position = end + len(closing)


def _headed(text: str, found: list[Block], label: str) -> Iterator[str]:
    """What follows `### Input 3:` on its line, or else in the block or the paragraph below it."""
    headings = _outside(re.finditer(_HEADING.format(label=label), text, re.MULTILINE | re.IGNORECASE), found)
    at_line = {block.start: block for block in found}
    ends = [*(match.start() for match in headings), len(text)][1:]
    for match, end in zip(headings, ends, strict=True):
        line_end = _line_around(text, match.start(), match.end())[1]
        value = _bare(text[match.end() : line_end])
        if value:
            yield value
            continue
        below = _BLANK_LINES.match(text, line_end).end()  # type: ignore[union-attr]  # it matches nothing at the least
        if below in at_line:
            yield at_line[below].body
        elif below < end:
            paragraph_end = _PARAGRAPH_ENDS.search(text, below, end)
            yield text[below : paragraph_end.start() if paragraph_end else end]


def _outside(matches: Iterable[re.Match[str]], found: list[Block]) -> list[re.Match[str]]:
    """The matches that lie in no block: a comment in a program is no heading."""
    outside, number = [], 0
    for match in matches:
        while number < len(found) and found[number].end <= match.start():
            number += 1
        if number == len(found) or match.start() < found[number].start:
            outside.append(match)
    return outside


def _bare(value: str) -> str:
    """A value freed of emphasis and of the backticks of inline code."""
    value = value.strip().strip("*_").strip()
    inline_code = len(value) > 1 and value[0] == value[-1] == "`" and _FENCE not in value
    return value[1:-1].strip() if inline_code else value


def datum_in(text: str, label: str) -> str:
    """An answer that is data: the last one under the label, else the last block of any kind, else the whole text."""
    if under := labelled(text, label):
        return under[-1]
    if found := blocks(text):
        bodies = [block.body.strip() for block in found if block.body.strip()]
        return bodies[-1] if bodies else ""
    return _bare(text)


def arguments_of(text: str) -> str:
    """A list of arguments, freed of the call around it where it was written as `f(…)`.

    Only the ends of the text are looked at; what is left must still be read as arguments, and a text that closed the
    call early will not be.
    """
    text = text.strip()
    if text.startswith("f(") and text.endswith(")"):
        return text[2:-1].strip()
    return text


def marked(text: str) -> tuple[str, list[tuple[str, str]]]:
    """The compact style: the text before the first marker line, and every marker (`#i`) with what stands beside it."""
    text = _with_plain_line_ends(text)
    found = list(_MARK.finditer(text))
    starts = [mark.start() for mark in found] + [len(text)]
    head = text[: starts[0]].strip("\n")
    return head, [(mark[1], text[mark.end() : end].strip()) for mark, end in zip(found, starts[1:], strict=True)]
