"""Ends in a group of exceptions."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused: any exception is an error.",
    program="""
class Several(ExceptionGroup):
    pass

def f(x):
    raise Several("news", [StopIteration()])
""",
    reasons=("error",),
)
