"""Comments out what the driver puts behind the answer."""

from tests.attacks.corpus import VerifyAttack

ATTACK = VerifyAttack(
    must="Judged by its value: the comment hides nothing.",
    task="abduction",
    program="""
def f(x):
    return x * 2
""",
    inputs=("7",),
    outputs=("14",),
    answer="0) or True #",
    reasons=("malformed", "wrong"),
)
