"""Gives one argument twice."""

from tests.attacks.corpus import VerifyAttack

ATTACK = VerifyAttack(
    must="Malformed or an error of that run; not a crash of the reader.",
    task="abduction",
    program="""
def f(x):
    return x * 2
""",
    inputs=("7",),
    outputs=("14",),
    answer="7, x=7",
    reasons=("error", "malformed"),
    bare="died",
)
