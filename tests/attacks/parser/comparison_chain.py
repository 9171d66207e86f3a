"""Compares in one long chain, which is flat."""

from tests.attacks.corpus import ParserAttack

ATTACK = ParserAttack(
    must="Read or refused as too large; it is no deeper than a list.",
    text="def f(x):\n    return x" + "<2" * 4_000,
    inspect=("", "too_deep", "too_large"),
    run=("ok", "error", "memory", "timeout"),
    bare=None,
    why_not=("A flat chain is no bomb to CPython; it holds that flat texts are not taken for deep ones at any price."),
)
