"""Answers with letters that only look like the expected ones."""

from tests.attacks.corpus import VerifyAttack

ATTACK = VerifyAttack(
    must="Wrong: other letters are other letters.",
    task="deduction",
    program="""
def f(x):
    return x.lower()
""",
    inputs=("'PAY'",),
    outputs=("'pay'",),
    answer="'p\u0430y'",
    reasons=("wrong",),
    bare=None,
    why_not="Python tells the letters apart too; a verifier that normalises text would not.",
)
