"""Nests conditional expressions to the right."""

from tests.attacks.corpus import ParserAttack

ATTACK = ParserAttack(
    must="Refused as too deep.",
    text="def f(x):\n    return " + "1 if x else " * 5_000 + "2",
    inspect=("too_deep", "syntax"),
)
