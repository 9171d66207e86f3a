"""Ends in an exception whose name does not hold the word error."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused: any exception is an error.",
    program="""
def f(x):
    return next(iter(()))
""",
    reasons=("error",),
)
