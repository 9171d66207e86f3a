"""Nests formats inside formats."""

from tests.attacks.corpus import ParserAttack

ATTACK = ParserAttack(
    must="Refused as too deep or no syntax.",
    text="def f(x):\n    return f'" + "{x:" * 400 + "}" * 400 + "'",
    inspect=("too_deep", "syntax"),
    bare=None,
    why_not="CPython stops at two levels of formats with a SyntaxError.",
)
