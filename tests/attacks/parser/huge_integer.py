"""Writes a number of half a million digits."""

from tests.attacks.corpus import ParserAttack

ATTACK = ParserAttack(
    must="Refused: too large, in time linear in its length.",
    text="9" * 500_000,
    inspect=("too_large", "syntax"),
    literal=("refused", "opaque"),
    bare=None,
    why_not=(
        "Since Python 3.11 the compiler refuses more than 4,300 digits with a SyntaxError; before, it took "
        "quadratic time."
    ),
)
