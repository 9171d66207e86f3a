"""Text that a model wrote, made safe to show.

Model output is hostile where it is shown too: escape sequences move the cursor, recolour the terminal or rewrite its
title, direction marks make text read otherwise than it runs, and lone surrogates cannot be encoded at all. Consoles and
logs pass everything of such origin through `printable`; machine-readable output goes through a JSON encoder instead.
"""

from __future__ import annotations

import unicodedata

#: Unicode categories that act on the reader's screen instead of showing: control, format (direction marks, zero-width
#: joiners), surrogate, private use, unassigned; and the two separators that some terminals take for line ends.
_ACTING = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})

ELLIPSIS = "…"


def printable(text: str, *, newlines: bool = False) -> str:
    """The text with every character that would act on a terminal written as its escape (`\\x1b`, `\\u202e`).

    Newlines and tabs are escaped as well unless `newlines` keeps them.
    """
    if text.isascii() and text.isprintable():
        return text
    kept = "\n\t" if newlines else ""
    return "".join(
        character if character in kept or unicodedata.category(character) not in _ACTING else _escaped(character)
        for character in text
    )


def shortened(text: str, width: int) -> str:
    """One printable line of at most `width` characters; what is left out shows as an ellipsis."""
    if width < 1:
        raise ValueError(f"a width of {width} shows nothing; it must be at least 1")
    # Escaping only lengthens, so what lies beyond `width` characters can never be shown.
    line = printable(text[: width + 1])
    return line if len(line) <= width else line[: width - 1] + ELLIPSIS


def counted(number: int, noun: str) -> str:
    """So many of them, in words that take an -s."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
