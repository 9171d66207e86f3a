"""Ends lines in three ways, so that readers disagree on where a comment ends."""

from tests.attacks.corpus import ParserAttack

ATTACK = ParserAttack(
    must="Read as Python does: the return behind the carriage return counts.",
    text="def f(x):\r    # a comment\r    return 1\r\n\n    return 2",
    inspect=("",),
    run=("ok",),
    value="1",
    bare=None,
    why_not=(
        "No harm to CPython; a reader that splits lines only at \\n sees the first return as part of the comment."
    ),
)
