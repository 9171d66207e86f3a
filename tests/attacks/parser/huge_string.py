"""Writes a string of two million letters."""

from tests.attacks.corpus import ParserAttack

ATTACK = ParserAttack(
    must="Refused as too large.",
    text="'" + "a" * 2_000_000 + "'",
    inspect=("too_large",),
    literal=("refused", "opaque"),
    run=("error", "memory", "timeout", "refused"),
    bare=None,
    why_not="CPython reads it in linear time; what hurts is to carry it to a tokenizer, a page and a log.",
)
