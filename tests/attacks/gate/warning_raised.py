"""Raises a warning, which is an exception too."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused: any exception is an error.",
    program="""
def f(x):
    raise UserWarning("be careful")
""",
    reasons=("error",),
)
