"""Answers with a sum whose signs stand behind comments, and whose syntax tree is too deep to be walked."""

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
    answer="(1)" + "#\n+(1)" * 600,
    reasons=("malformed",),
)
