"""Reading responses as text: fenced blocks, tags, headings and the terse lines of the compact style.

Tolerant of layout and strict of meaning: a block may be labelled by its fence, by a tag or by a heading, and blocks may
come in any order; what stands in them is passed on as it is, for the guest to judge. Nothing here knows Python, nothing
raises, and every function walks the text a fixed number of times, whatever the text holds. Called by the task types.

    response ──Frame.extract──► answer ──blocks / tagged / headed──► program, input, output, message
                                   └──────marked (compact)──────────►
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

_FENCE = "```"

#: Labels under which a program may stand; a bare fence is the last resort.
PYTHON_LABELS = frozenset({"python", "py", "python3", "py3"})

#: Labels that open a new block even inside an unclosed one.
_KNOWN_LABELS = PYTHON_LABELS | {"input", "output", "message", "error"}

_DEFINES_ENTRY = re.compile(r"^[ \t]*(?:async[ \t]+)?def[ \t]+f[ \t]*\(", re.MULTILINE)
_BEGINS_LIKE_CODE = re.compile(r"(?:import|from|def|class|async|@)\b|@")


class Block(msgspec.Struct, frozen=True):
    """A fenced block: the first word after its fence, lower-cased, and what stands inside."""

    label: str
    body: str
    first_line: int
    """Line on which it opens, counted from 0, so that a heading can claim it."""


def blocks(text: str) -> list[Block]:
    """All fenced blocks in order. One that is never closed reaches to the end, or to the next labelled fence."""
    return list(_blocks(_lines(text)))


def _lines(text: str) -> list[str]:
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _blocks(lines: list[str]) -> Iterator[Block]:
    inside = False
    label, indent, fence, opened_at = "", "", _FENCE, 0
    body: list[str] = []
    for number, line in enumerate(lines):
        if inside:
            stripped = line.strip()
            if stripped.startswith(fence) and not stripped.strip("`"):
                yield Block(label, _joined(body, indent), opened_at)
                inside = False
                continue
            if not (stripped.startswith(_FENCE) and _label_of(stripped.lstrip("`")) in _KNOWN_LABELS):
                if stripped.endswith(fence):
                    body.append(line.rstrip()[: -len(fence)])
                    yield Block(label, _joined(body, indent), opened_at)
                    inside = False
                else:
                    body.append(line)
                continue
            yield Block(label, _joined(body, indent), opened_at)
        at = line.find(_FENCE)
        if at < 0:
            inside = False
            continue
        rest = line[at:].lstrip("`")
        fence = "`" * (len(line) - at - len(rest))
        closing = rest.find(fence)
        if closing >= 0:
            yield _inline(rest[:closing], number)
            inside = False
            continue
        label, body, opened_at, inside = _label_of(rest), [], number, True
        indent = line[:at] if not line[:at].strip() else ""
    if inside:
        yield Block(label, _joined(body, indent), opened_at)


def _label_of(rest: str) -> str:
    words = rest.split(maxsplit=1)
    return words[0].strip("{}.:").lower() if words else ""


def _inline(content: str, number: int) -> Block:
    word, _, rest = content.strip().partition(" ")
    if word.lower() in _KNOWN_LABELS and rest.strip():
        return Block(word.lower(), rest.strip(), number)
    return Block("", content.strip(), number)


def _joined(body: list[str], indent: str) -> str:
    if indent and all(line.startswith(indent) or not line.strip() for line in body):
        body = [line[len(indent) :] for line in body]
    return "\n".join(body).strip("\n")


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
    found = blocks(text)
    bodies = [block.body for block in found if block.label == label]
    bodies = bodies or list(_tagged(text, label)) or list(_headed(_lines(text), found, label))
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


def _headed(lines: list[str], found: list[Block], label: str) -> Iterator[str]:
    at_line = {block.first_line: block for block in found}
    number = 0
    while number < len(lines):
        value = _after_heading(lines[number], label)
        number += 1
        if value is None:
            continue
        if value:
            yield value
            continue
        while number < len(lines) and not lines[number].strip():
            number += 1
        if number in at_line:
            yield at_line[number].body
            continue
        paragraph = []
        while number < len(lines) and lines[number].strip() and _after_heading(lines[number], label) is None:
            paragraph.append(lines[number])
            number += 1
        yield "\n".join(paragraph)


def _after_heading(line: str, label: str) -> str | None:
    """What follows `# Input 3:` on its line, or None when the line is no such heading."""
    bare = line.strip().lstrip("#*->_ \t")
    if bare[: len(label)].lower() != label:
        return None
    rest = bare[len(label) :].lstrip("*_ \t0123456789")
    if not rest.startswith(":"):
        return None
    value = rest[1:].strip().strip("*_").strip()
    return value[1:-1].strip() if len(value) > 1 and value[0] == value[-1] == "`" and _FENCE not in value else value


def datum_in(text: str, label: str) -> str:
    """An answer that is data: the last one under the label, else the last block of any kind, else the whole text."""
    if under := labelled(text, label):
        return under[-1]
    bodies = [block.body.strip() for block in blocks(text) if block.body.strip()]
    return (bodies[-1] if bodies else text).strip().strip("`").strip()


def arguments_of(text: str) -> str:
    """A list of arguments, freed of the call around it where it was written as `f(…)`.

    Only the ends of the text are looked at; what is left must still be read as arguments, and a text that closed the
    call early will not be.
    """
    text = text.strip()
    if text.startswith("f(") and text.endswith(")"):
        return text[2:-1].strip()
    return text


def boxed(text: str) -> str | None:
    """What the last `\\boxed{…}` holds, its braces balanced."""
    start = text.rfind("\\boxed{")
    if start < 0:
        return None
    start += len("\\boxed{")
    depth = 1
    for offset in range(start, len(text)):
        if text[offset] == "{":
            depth += 1
        elif text[offset] == "}":
            depth -= 1
            if depth == 0:
                return text[start:offset].strip()
    return None


def marked(text: str) -> tuple[str, list[tuple[str, str]]]:
    """The compact style: the text before the first marker line, and every marker (`#i`) with what stands beside it."""
    head: list[str] = []
    marks: list[tuple[str, list[str]]] = []
    for line in _lines(text):
        if len(line) >= 2 and line[0] == "#" and line[1].isalpha() and (len(line) == 2 or line[2] == " "):
            marks.append((line[1], [line[3:]]))
        elif marks:
            marks[-1][1].append(line)
        else:
            head.append(line)
    return "\n".join(head).strip("\n"), [(mark, "\n".join(lines).strip()) for mark, lines in marks]
