"""Writes one line of a million characters."""

from tests.attacks.corpus import ParserAttack

ATTACK = ParserAttack(
    must="Refused as too large.",
    text="x=" + "1;x=" * 250_000 + "1",
    inspect=("too_large",),
    run=("error", "memory", "timeout"),
    bare="raised",
    literal=("refused", "opaque"),
)
