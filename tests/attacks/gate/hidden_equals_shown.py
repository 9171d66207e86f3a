"""Hides pairs that the solver has already seen."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused.",
    task="induction",
    message="Think about growth.",
    program="""
def f(x):
    return x * 3 + 1
""",
    inputs=("1", "2", "1", "2"),
    reasons=("hidden_input_shown",),
)
