"""Nests functions by indentation."""

from tests.attacks.corpus import ParserAttack

ATTACK = ParserAttack(
    must="Refused: too many levels of indentation.",
    text="\n".join(" " * k + "def f(x):" for k in range(150)) + "\n" + " " * 150 + "return x",
    inspect=("too_deep", "syntax"),
    bare=None,
    why_not="CPython stops at 100 levels of indentation with a SyntaxError.",
)
