"""Puts a form feed into a comment, at which str.splitlines breaks and Python does not."""

from tests.attacks.corpus import ParserAttack

ATTACK = ParserAttack(
    must="Read as Python does: what follows the form feed is still a comment.",
    text="def f(x):\n    # a comment\f    return 2\n    return 1",
    inspect=("",),
    run=("ok",),
    value="1",
    bare="forged",
    reader="lines",
)
