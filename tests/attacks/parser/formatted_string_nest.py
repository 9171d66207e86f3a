"""Nests formatted strings inside one another's braces."""

from tests.attacks.corpus import ParserAttack

ATTACK = ParserAttack(
    must="Refused as too deep or no syntax.",
    text="def f(x):\n    return " + 'f"{' * 300 + "x" + '}"' * 300,
    inspect=("too_deep", "syntax"),
    bare=None,
    why_not=(
        "Python 3.11 ends the string at the second quote (SyntaxError); from 3.12 on (PEP 701) the nesting is"
        " real, and the guest is newer."
    ),
)
