"""Lines of a program looked at as text, for rules that a glance is enough for: no host process parses Python.

A line is taken by itself: a string or a bracket that begins on an earlier line, or ends on a later one, is not
followed, so that what stands in a string may be looked at as code, and code as if it stood in a string. These rules are
against carelessness and plain cheating, and no safety rests on them.

    line ─► masked: strings and brackets blotted out, comment gone ─┬─► told_by      (induction: is it in the message?)
                                                                    └─► module_names (composite: do names clash?)
"""

from __future__ import annotations

import builtins
import re
import unicodedata
from collections.abc import Iterator, Mapping

#: Stands for each character of a string and of what is in brackets, both included.
_BLOT = "\0"

#: A string, a comment, or one character; no alternative can fail late, so hostile lines take linear time.
_PIECE = re.compile(r"""'(?:[^'\\]|\\.)*+(?:'|\\?\Z)|"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|#.*|.""", re.DOTALL)
_ASSIGNS = re.compile(r"(?:(?:\*\*|//|<<|>>|[-+*/%@&|^])=|(?<![=!<>:])=)(?!=)")
_COLON = re.compile(r":(?!=)")
_HEADER = re.compile(
    r"(?:(?:async[ \t]+)?(?:def|for|with)|class|if|elif|else|while|try|except|finally|match|case)\b(?![ \t]*[=.])"
)
_GIVES = re.compile(r"(?:return|yield(?:[ \t]+from)?|await|raise|assert|del|not)\b")
_IN = re.compile(r"(?<!\w)in(?!\w)")
_AS = re.compile(r"(?<!\w)as(?!\w)")

#: Parts of a line that are looked at; an honest one has a handful.
_MOST_PARTS = 32


def masked(line: str) -> str:
    """The line up to its comment, with all that stands in strings and brackets blotted out, character by character."""
    shown, depth = [], 0
    for match in _PIECE.finditer(line):
        piece = match[0]
        if piece[0] == "#":
            break
        if piece in ")]}":
            depth = max(0, depth - 1)
            shown.append(_BLOT)
            continue
        depth += piece in "([{"
        shown.append(piece if depth == 0 and piece[0] not in "'\"" else _BLOT * len(piece))
    return "".join(shown)


def told_by(line: str) -> list[str]:
    """A line and the expressions in it that tell what it does: what is assigned, returned, asked, looped over.

    So the line is recognised where only the expression was written down, whatever stood before it and however its
    blanks were set: `return EXPR`, `x=EXPR`, `x += EXPR`, `if EXPR: …`, `for x in EXPR: …`, `def f(x): return EXPR`.
    """
    mask = masked(line)
    found: list[str] = []
    open_parts = [(start, end) for start, end in reversed(list(_between(";", mask)))]
    while open_parts and len(found) < _MOST_PARTS:
        start, end = _trimmed(mask, *open_parts.pop())
        if start < end:
            found.append(line[start:end])
            open_parts.extend(reversed(_parts(mask, start, end)))
    return found


def _parts(mask: str, start: int, end: int) -> list[tuple[int, int]]:
    """What is left of a statement without its first word, its header or what it assigns to."""
    if header := _HEADER.match(mask, start, end):
        colon = _COLON.search(mask, header.end(), end)
        head_end, rest = (colon.start(), colon.end()) if colon else (end, end)
        return [*_asked(mask, header[0].split()[-1], header.end(), head_end), (rest, end)]
    if gives := _GIVES.match(mask, start, end):
        return [(gives.end(), end)]
    if assigns := _ASSIGNS.search(mask, start, end):
        return [(assigns.end(), end)]
    return []


def _asked(mask: str, word: str, start: int, end: int) -> list[tuple[int, int]]:
    """The expression in a header, if it is one that holds any."""
    if word in ("def", "class", "except"):
        return []
    if word == "for" and (inside := _IN.search(mask, start, end)):
        return [(inside.end(), end)]
    if word == "with" and (named := _AS.search(mask, start, end)):
        return [(start, named.start())]
    return [(start, end)]


def _between(sign: str, mask: str) -> Iterator[tuple[int, int]]:
    start = 0
    for part in mask.split(sign):
        yield start, start + len(part)
        start += len(part) + len(sign)


def _trimmed(mask: str, start: int, end: int) -> tuple[int, int]:
    while start < end and mask[start].isspace():
        start += 1
    while start < end and (mask[end - 1].isspace() or mask[end - 1] in ":\\"):
        end -= 1
    return start, end


_WORD = re.compile(r"[^\W\d]\w*")
_WALRUS = re.compile(r"(?<!\w)([^\W\d]\w*+)[ \t]*+:=")
_DEFINES = re.compile(r"(?:(?:async[ \t]+)?def|class)[ \t]+([^\W\d]\w*)")
_GLOBAL = re.compile(r"(?:^|[:;])[ \t]*global[ \t]+([^#;]*)")
_IMPORT = re.compile(r"import[ \t]+(.*)")
_FROM = re.compile(r"from[ \t]++(\S++)[ \t]++import\b(.*)")
_IN_PARENTHESES = re.compile(r"^([ \t]*+from[ \t]++\S++[ \t]++import[ \t]*+)\(([^)]{0,2000})\)", re.MULTILINE)
_COMMENT = re.compile(r"#[^\n]*")
_BUILTINS = frozenset(dir(builtins))

#: What a name stands for that is bound by anything but an import: something of the program's own.
OWN = ""


def module_names(program: str) -> dict[str, str]:
    """The names that a program binds at its top level, each with the import it stands for, or `OWN`.

    Read are the lines that begin at the margin, those below a header at the margin that opens no scope (`if`, `for`,
    `try`, …), and `global` anywhere. Not seen are names that only running binds (`setattr`, `import *`), objects that
    are altered rather than bound anew, and what follows the end of a long string on its line; what stands at the margin
    inside such a string is taken for code.
    """
    text = unicodedata.normalize("NFKC", program).replace("\r\n", "\n").replace("\r", "\n").replace("\\\n", " ")
    text = _IN_PARENTHESES.sub(lambda found: found[1] + " ".join(_COMMENT.sub("", found[2]).split()), text)
    names: dict[str, str] = {}
    in_block = False
    for line in text.splitlines():
        if not line.strip():
            continue
        if line[0] not in " \t":
            in_block = _HEADER.match(line) is not None and _DEFINES.match(line) is None
            _bind(names, line)
        elif in_block:
            _bind(names, line.strip())
        if found := _GLOBAL.search(line):
            names.update(dict.fromkeys(_WORD.findall(found[1]), OWN))
    return names


def _bind(names: dict[str, str], line: str) -> None:
    mask = masked(line)
    for start, end in _between(";", mask):
        statement = line[start:end].strip()
        for word in _WALRUS.findall(statement):
            names[word] = OWN
        if header := _HEADER.match(statement):
            if defines := _DEFINES.match(statement):
                names[defines[1]] = OWN
                return
            names.update(dict.fromkeys(_bound_by_header(statement, header[0]), OWN))
            if colon := _COLON.search(masked(statement)):
                statement = statement[colon.end() :].strip()
        if imports := _IMPORT.match(statement):
            for module, name in _imported(imports[1]):
                # `import a.b` binds a, which then stands for a alone.
                names[name or module.partition(".")[0]] = module if name else module.partition(".")[0]
        elif imports := _FROM.match(statement):
            for what, name in _imported(imports[2]):
                names[name or what] = f"{imports[1]}:{what}"
        else:
            names.update(dict.fromkeys(_assigned(statement), OWN))


def _imported(listed: str) -> Iterator[tuple[str, str]]:
    """What is imported, and the name that it is given, if any."""
    for part in listed.strip("() \t").split(","):
        words = part.split()
        if len(words) in (1, 3):
            yield words[0], words[2] if len(words) == 3 else ""


def _bound_by_header(statement: str, keyword: str) -> list[str]:
    mask = masked(statement)
    head_end = colon.start() if (colon := _COLON.search(mask)) else len(mask)
    if keyword == "for" and (inside := _IN.search(mask, 0, head_end)):
        return _WORD.findall(statement[len(keyword) : inside.start()])
    named = _AS.search(mask, 0, head_end)
    return _WORD.findall(statement[named.end() : head_end]) if named else []


def _assigned(statement: str) -> Iterator[str]:
    """Names to the left of the last sign that assigns, annotations left out, and those that are deleted."""
    if statement.startswith("del "):
        yield from _WORD.findall(statement[4:])
    mask, start = masked(statement), 0
    for sign in _ASSIGNS.finditer(mask):
        colon = _COLON.search(mask, start, sign.start())
        yield from _WORD.findall(statement[start : colon.start() if colon else sign.start()])
        start = sign.end()


def clash(names: Mapping[str, str], others: Mapping[str, str], text: str = "") -> str | None:
    """The first of `names` that would change what `others` stand for, or a builtin that is named in `text`.

    The same import on both sides does no harm.
    """
    words = frozenset(_WORD.findall(unicodedata.normalize("NFKC", text))) & _BUILTINS
    for name, meaning in names.items():
        if name in others and (meaning == OWN or others[name] != meaning):
            return name
        if name in words and name not in others:
            return name
    return None
