"""Nests patterns of a match statement."""

from tests.attacks.corpus import ParserAttack

ATTACK = ParserAttack(
    must="Refused as too deep.",
    text="def f(x):\n    match x:\n        case "
    + "[" * 190
    + "y"
    + "]" * 190
    + ":\n            return y\n    return 0",
    inspect=("", "too_deep", "syntax"),
    run=("ok", "error"),
    value="0",
    bare=None,
    why_not="It is within CPython's limits on a machine's ordinary stack.",
)
