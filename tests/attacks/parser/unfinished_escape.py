"""Ends a string in the middle of an escape."""

from tests.attacks.corpus import ParserAttack

ATTACK = ParserAttack(
    must="Refused as syntax.",
    text="'\\N{LATIN SMALL LETTER",
    inspect=("syntax",),
    bare=None,
    why_not="CPython refuses it with a SyntaxError.",
)
