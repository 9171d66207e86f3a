"""Writes a pattern with thousands of alternatives."""

from tests.attacks.corpus import ParserAttack

ATTACK = ParserAttack(
    must="Read or refused; alternatives are flat.",
    text="def f(x):\n    match x:\n        case "
    + "|".join(str(k) for k in range(2_500))
    + ":\n            return 1\n    return 0",
    inspect=("", "too_deep", "too_large"),
    run=("ok", "error", "timeout", "memory"),
    value="1",
    bare=None,
    why_not="Flat to CPython's parser.",
)
