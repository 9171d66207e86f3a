"""Adds ones within the length of any program."""

from tests.attacks.corpus import ParserAttack

ATTACK = ParserAttack(
    must="Refused as too deep, or read; the interpreter survives or is replaced.",
    text="def f(x):\n    return x" + "+1" * 25_000,
    inspect=("too_deep", "too_large"),
    run=("ok", "error", "memory", "timeout"),
)
