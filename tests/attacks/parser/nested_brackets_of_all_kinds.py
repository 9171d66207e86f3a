"""Nests brackets of all kinds in turn."""

from tests.attacks.corpus import ParserAttack

ATTACK = ParserAttack(
    must="Refused as too deep, by inspection and by the reader of literals.",
    text="([{1:" * 3_000 + "1" + "}])" * 3_000,
    inspect=("too_deep", "syntax"),
    bare=None,
    why_not="CPython stops at 200 levels of brackets with a SyntaxError.",
)
