"""Nests lambdas, each a scope of its own."""

from tests.attacks.corpus import ParserAttack

ATTACK = ParserAttack(
    must="Refused as too deep.",
    text="def f(x):\n    return " + "lambda:" * 8_000 + "x",
    inspect=("too_deep", "syntax"),
)
