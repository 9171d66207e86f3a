"""Writes a float whose exponent has a hundred thousand digits."""

from tests.attacks.corpus import ParserAttack

ATTACK = ParserAttack(
    must="Refused as too large, or read as infinity.",
    text="1e" + "9" * 100_000,
    inspect=("too_large", "no_entry"),
    literal=("refused", "opaque", "ok"),
    bare=None,
    why_not="CPython reads it as infinity in linear time.",
)
