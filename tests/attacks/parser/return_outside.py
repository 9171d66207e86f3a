"""Returns outside a function, which only the compiler notices."""

from tests.attacks.corpus import ParserAttack

ATTACK = ParserAttack(
    must="Inspection may read it; running is an error, not a crash.",
    text="def f(x):\n    return 1\nreturn 2",
    inspect=("", "syntax"),
    run=("error",),
    bare=None,
    why_not="ast.parse accepts it and compile refuses it with a SyntaxError: a difference, no harm.",
)
