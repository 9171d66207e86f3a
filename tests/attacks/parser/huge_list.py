"""Writes a list of three hundred thousand numbers, whose tree takes a hundred times its text."""

from tests.attacks.corpus import ParserAttack

ATTACK = ParserAttack(
    must="Refused as too large.",
    text="[" + "1," * 300_000 + "]",
    inspect=("too_large",),
    literal=("refused", "opaque"),
    run=("error", "memory", "timeout"),
    bare="raised",
)
