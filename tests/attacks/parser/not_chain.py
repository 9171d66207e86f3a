"""Piles up `not`, a keyword at each level."""

from tests.attacks.corpus import ParserAttack

ATTACK = ParserAttack(
    must="Refused as too deep.",
    text="not " * 12_000 + "x",
    inspect=("too_deep", "syntax"),
)
