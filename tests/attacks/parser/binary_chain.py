"""Adds a hundred thousand ones: a tree as deep as it is long."""

from tests.attacks.corpus import ParserAttack

ATTACK = ParserAttack(
    must="Refused as too deep or too large.",
    text="1" + "+1" * 100_000,
    inspect=("too_deep", "too_large"),
    literal=("refused", "opaque"),
)
