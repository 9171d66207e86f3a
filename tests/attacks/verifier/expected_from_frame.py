"""Takes the expected value out of the verifier's own frame."""

from tests.attacks.corpus import VerifyAttack

ATTACK = VerifyAttack(
    must="Malformed; and the expected value is in no process where an answer is read.",
    task="deduction",
    program="""
def f(x):
    return x * 2
""",
    inputs=("7",),
    outputs=("14",),
    answer="eval(__import__('sys')._getframe(1).f_locals['gold'])",
    reasons=("malformed",),
)
