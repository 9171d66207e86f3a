"""Hides lone surrogates in the program, which no encoding carries to a trainer or a page."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused.",
    program="""
def f(x):
    return "$LONE"
""".replace("$LONE", chr(0xD800)),
    reasons=("surrogate",),
    bare="died",
)
