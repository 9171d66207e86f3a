"""Answers with a long sum behind a comment that ends at a carriage return for the parser, and nowhere else."""

from tests.attacks.corpus import VerifyAttack

ATTACK = VerifyAttack(
    must="Malformed: no literal, and no failure of ours that would let it go unpunished.",
    task="abduction",
    program="""
def f(x):
    return x
""",
    inputs=("601",),
    outputs=("601",),
    answer="#\r1" + "+1" * 600,
    reasons=("malformed",),
)
