"""Writes thirty thousand strings side by side, which the parser joins."""

from tests.attacks.corpus import ParserAttack

ATTACK = ParserAttack(
    must="Read or refused; one string of thirty thousand letters.",
    text="def f(x):\n    return len(" + "'a'" * 20_000 + ")",
    inspect=("", "too_large", "too_deep"),
    run=("ok", "error", "timeout", "memory"),
    value="20000",
    bare=None,
    why_not="Flat to CPython's parser.",
)
