"""Gives the program away in the message, so that the solver has only to copy it."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused.",
    task="induction",
    message="def f(x):\\n    return x * 3 + 1",
    program="""
def f(x):
    return x * 3 + 1
""",
    inputs=("1", "2", "3", "4"),
    reasons=("message_holds_program",),
)
