"""Nests parentheses."""

from tests.attacks.corpus import ParserAttack

ATTACK = ParserAttack(
    must="Refused as too deep, by inspection and by the reader of literals.",
    text="(" * 5_000 + "1" + ")" * 5_000,
    inspect=("too_deep", "syntax"),
    bare=None,
    why_not="CPython stops at 200 levels of brackets with a SyntaxError; before 3.9 it ended the process.",
)
