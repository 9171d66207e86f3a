"""Answers with a comprehension that computes the value."""

from tests.attacks.corpus import VerifyAttack

ATTACK = VerifyAttack(
    must="Malformed: a comprehension is no literal.",
    task="deduction",
    program="""
def f(x):
    return list(range(x))
""",
    inputs=("5",),
    outputs=("[0, 1, 2, 3, 4]",),
    answer="[k for k in range(5)]",
    reasons=("malformed",),
)
