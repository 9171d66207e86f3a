"""Writes half a million lines."""

from tests.attacks.corpus import ParserAttack

ATTACK = ParserAttack(
    must="Refused as too large.",
    text="1\n" * 500_000,
    inspect=("too_large",),
    run=("error", "memory", "timeout"),
    bare="raised",
    literal=("refused", "opaque"),
)
