"""Holds a null byte inside a string."""

from tests.attacks.corpus import ParserAttack

ATTACK = ParserAttack(
    must="Refused for the null byte.",
    text="'a\0b'",
    inspect=("null_byte",),
    bare=None,
    why_not="CPython refuses it with a ValueError or SyntaxError.",
)
