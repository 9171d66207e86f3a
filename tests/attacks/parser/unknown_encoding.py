"""Declares an encoding that does not exist."""

from tests.attacks.corpus import ParserAttack

ATTACK = ParserAttack(
    must="A text is not bytes: the cookie means nothing.",
    text="# coding: no-such-thing\ndef f(x):\n    return 1",
    inspect=("", "syntax"),
    run=("ok", "error"),
    value="1",
    bare="raised",
    reader="bytes",
)
