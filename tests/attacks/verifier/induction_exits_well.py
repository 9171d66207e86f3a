"""Answers with a program that ends with success before any check."""

from tests.attacks.corpus import VerifyAttack

ATTACK = VerifyAttack(
    must="An error: leaving is not returning.",
    task="induction",
    program="""
def f(x):
    return x * 3 + 1
""",
    inputs=("1", "2", "3", "4"),
    outputs=("4", "7", "10", "13"),
    shown=2,
    answer="""
def f(x):
    return 0

raise SystemExit(0)
""",
    reasons=("error",),
    bare="died",
)
