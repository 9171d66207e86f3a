"""Returns a text that the solver could never write."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused, and not cut.",
    program="""
def f(x):
    return "ab" * 3000
""",
    reasons=("output_too_long",),
)
