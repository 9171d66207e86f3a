"""Declares an encoding in which the comments are code."""

from tests.attacks.corpus import ParserAttack

ATTACK = ParserAttack(
    must="A text is not bytes: the cookie means nothing, and the function returns 1.",
    text="# -*- coding: utf-7 -*-\ndef f(x):\n    return 1\n# +AAo-def f(x): return 2",
    inspect=("", "syntax"),
    run=("ok", "error"),
    value="1",
    bare="forged",
    reader="bytes",
)
