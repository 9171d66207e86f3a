"""Ends in an exception of its own, with a harmless name."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused: any exception is an error.",
    program="""
class Done(Exception):
    pass

def f(x):
    raise Done("all is well")
""",
    reasons=("error",),
)
