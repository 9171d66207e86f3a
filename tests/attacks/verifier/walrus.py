"""Names a value inside the answer and uses it to choose."""

from tests.attacks.corpus import VerifyAttack

ATTACK = VerifyAttack(
    must="Malformed: a walrus is no literal.",
    task="abduction",
    program="""
def f(x):
    return x * 2
""",
    inputs=("7",),
    outputs=("14",),
    answer="(n := 7) and n",
    reasons=("malformed",),
)
