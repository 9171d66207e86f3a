"""Puts a line separator into a comment, at which str.splitlines breaks and Python does not."""

from tests.attacks.corpus import ParserAttack

ATTACK = ParserAttack(
    must="Read as Python does: the return behind the separator is still a comment.",
    text="def f(x):\n    # a comment\u2028    return 1\n    return 2",
    inspect=("",),
    run=("ok",),
    value="2",
    bare="forged",
    reader="lines",
)
