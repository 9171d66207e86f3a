"""Asks for an attribute of an attribute, thirty thousand times."""

from tests.attacks.corpus import ParserAttack

ATTACK = ParserAttack(
    must="Refused as too deep.",
    text="def f(x):\n    return x" + ".a" * 30_000,
    inspect=("too_deep", "too_large"),
)
