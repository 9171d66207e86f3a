"""Ends in what `except Exception` does not catch."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused: any exception is an error.",
    program="""
class Leave(BaseException):
    pass

def f(x):
    raise Leave()
""",
    reasons=("error",),
)
