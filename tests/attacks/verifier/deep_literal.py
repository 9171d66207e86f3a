"""Answers with brackets nested so deeply that the reader's stack overflows."""

from tests.attacks.corpus import VerifyAttack

ATTACK = VerifyAttack(
    must="Malformed: too deep.",
    task="abduction",
    program="""
def f(x):
    return 14
""",
    inputs=("7",),
    outputs=("14",),
    answer="-" * 200_000 + "1",
    reasons=("malformed",),
    bare="died",
)
