"""Answers with the question: calls the function instead of predicting what it gives."""

from tests.attacks.corpus import VerifyAttack

ATTACK = VerifyAttack(
    must=(
        "Malformed: an answer is a literal. The published verifier has the function at hand while it reads an input."
    ),
    task="abduction",
    program="""
def f(x):
    return x * 2
""",
    inputs=("7",),
    outputs=("14",),
    answer="next(k for k in range(100) if f(k) == 14)",
    reasons=("malformed",),
)
