"""Proposes hidden inputs that are shown ones under another spelling: by name, and with a default left out."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused: arguments are bound before they are compared.",
    task="induction",
    message="Add the two numbers, and be careful with the sign.",
    program="""
def f(a, b=0):
    return a + b
""",
    inputs=("1", "2", "a=1", "2, 0"),
    reasons=("hidden_input_shown",),
)
