"""Holds a lone surrogate, which no encoding carries."""

from tests.attacks.corpus import ParserAttack

ATTACK = ParserAttack(
    must="Refused for the surrogate, wherever text crosses into a process.",
    text="def f(x):\n    return '\ud800'",
    inspect=("surrogate",),
    bare="raised",
)
