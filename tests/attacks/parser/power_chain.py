"""Raises to a power of a power: a tree that leans to the right."""

from tests.attacks.corpus import ParserAttack

ATTACK = ParserAttack(
    must="Refused as too deep.",
    text="def f(x):\n    return x" + "**x" * 15_000,
    inspect=("too_deep", "too_large", "syntax"),
)
