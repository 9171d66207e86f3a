"""Calls what a call returned, twenty thousand times."""

from tests.attacks.corpus import ParserAttack

ATTACK = ParserAttack(
    must="Refused as too deep.",
    text="def f(x):\n    return x" + "()" * 20_000,
    inspect=("too_deep", "too_large"),
)
