"""Answers with the text of a number instead of the number."""

from tests.attacks.corpus import VerifyAttack

ATTACK = VerifyAttack(
    must="Wrong: '14' is not 14.",
    task="deduction",
    program="""
def f(x):
    return x * 2
""",
    inputs=("7",),
    outputs=("14",),
    answer="'14'",
    reasons=("wrong",),
    bare=None,
    why_not="Evaluating values once more fails on a number, so even the published fallback does not accept it.",
)
