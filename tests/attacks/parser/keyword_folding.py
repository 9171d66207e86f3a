"""Writes True in letters that Python folds into a keyword after it was no longer looked for."""

from tests.attacks.corpus import ParserAttack

ATTACK = ParserAttack(
    must="Refused as syntax: no exception of another kind gets out.",
    text="def f(x):\n    return \U0001d413rue",
    inspect=("syntax", ""),
    run=("error", "ok"),
    bare=None,
    why_not="It is a ValueError on some versions, a name on others; callers often catch only SyntaxError.",
)
