"""Fills strings with escapes that are none: thousands of warnings."""

from tests.attacks.corpus import ParserAttack

ATTACK = ParserAttack(
    must="Read or refused; warnings go nowhere.",
    text="def f(x):\n    return len('" + "\\q" * 10_000 + "')",
    inspect=("", "syntax"),
    run=("ok", "error"),
    value="20000",
    bare=None,
    why_not="CPython warns and reads on; whoever turns warnings into errors gets an exception.",
)
