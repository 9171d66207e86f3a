"""Nests comprehensions, each a scope of its own."""

from tests.attacks.corpus import ParserAttack

ATTACK = ParserAttack(
    must="Refused as too deep.",
    text="def f(x):\n    return " + "[y for y in " * 150 + "x" + "]" * 150,
    inspect=("too_deep", "syntax", ""),
    run=("error", "timeout", "memory"),
    bare=None,
    why_not="It is within CPython's limits on a machine's ordinary stack.",
)
