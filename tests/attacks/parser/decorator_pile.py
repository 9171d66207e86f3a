"""Piles up decorators."""

from tests.attacks.corpus import ParserAttack

ATTACK = ParserAttack(
    must="Read or refused; decorators are flat.",
    text="@g\n" * 4_000 + "def f(x):\n    return x",
    inspect=("", "too_deep", "too_large"),
    run=("error", "memory", "timeout"),
    bare=None,
    why_not="Flat to CPython's parser.",
)
