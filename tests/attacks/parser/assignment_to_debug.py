"""Assigns to a name that the compiler, not the parser, refuses."""

from tests.attacks.corpus import ParserAttack

ATTACK = ParserAttack(
    must="Inspection may read it; running is an error, not a crash.",
    text="def f(x):\n    __debug__ = 1\n    return 1",
    inspect=("", "syntax"),
    run=("error",),
    bare=None,
    why_not="ast.parse accepts it and compile refuses it with a SyntaxError: a difference, no harm.",
)
