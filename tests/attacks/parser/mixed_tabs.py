"""Indents with tabs and spaces so that levels look equal and are not."""

from tests.attacks.corpus import ParserAttack

ATTACK = ParserAttack(
    must="Refused: inconsistent indentation.",
    text="def f(x):\n        if x:\n\treturn 1\n        return 2",
    inspect=("syntax",),
    bare=None,
    why_not="CPython refuses it with a TabError, which is a SyntaxError.",
)
