"""Answers with a list where a tuple was returned."""

from tests.attacks.corpus import VerifyAttack

ATTACK = VerifyAttack(
    must="Wrong: a list is not a tuple.",
    task="deduction",
    program="""
def f(x):
    return (x, x)
""",
    inputs=("7",),
    outputs=("(7, 7)",),
    answer="[7, 7]",
    reasons=("wrong",),
    bare=None,
    why_not="Python's equality tells them apart as well; a verifier that goes through JSON would not.",
)
