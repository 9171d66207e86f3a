"""Gives away the one line that matters, in words around it."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused.",
    task="induction",
    message="Hint: the whole body is `return x * 3 + 1`, nothing else.",
    program="""
def f(x):
    return x * 3 + 1
""",
    inputs=("1", "2", "3", "4"),
    reasons=("message_holds_program",),
)
