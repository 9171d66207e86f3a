"""Uses a name of fifty thousand letters."""

from tests.attacks.corpus import ParserAttack

ATTACK = ParserAttack(
    must="Read or refused as too large; the value does not hold it.",
    text="def f(" + "a" * 50_000 + "):\n    return 1",
    inspect=("", "too_large"),
    run=("ok",),
    value="1",
    bare=None,
    why_not="No harm to CPython; what hurts is whoever shows names.",
)
