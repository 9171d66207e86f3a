"""Takes an element of an element, fifteen thousand times."""

from tests.attacks.corpus import ParserAttack

ATTACK = ParserAttack(
    must="Refused as too deep.",
    text="def f(x):\n    return x" + "[0]" * 15_000,
    inspect=("too_deep", "too_large"),
)
