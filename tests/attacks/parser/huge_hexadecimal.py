"""Writes a number of half a million hexadecimal digits, which no limit on digits stops."""

from tests.attacks.corpus import ParserAttack

ATTACK = ParserAttack(
    must="Refused as too large.",
    text="0x" + "f" * 500_000,
    inspect=("too_large",),
    literal=("refused", "opaque"),
    bare=None,
    why_not="Reading it is linear; writing it as decimals is what hurts, and `bombs/huge_int_text` shows that.",
)
