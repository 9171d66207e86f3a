"""Piles up signs, each a level of the tree without any bracket."""

from tests.attacks.corpus import ParserAttack

ATTACK = ParserAttack(
    must="Refused as too deep; a sign or two is all that data needs.",
    text="-" * 200_000 + "1",
    inspect=("too_deep", "syntax", "too_large"),
    literal=("refused", "opaque"),
)
