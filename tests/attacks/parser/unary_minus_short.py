"""Piles up signs within the length of any program."""

from tests.attacks.corpus import ParserAttack

ATTACK = ParserAttack(
    must="Refused as too deep.",
    text="-" * 20_000 + "1",
    inspect=("too_deep", "syntax", "no_entry"),
)
