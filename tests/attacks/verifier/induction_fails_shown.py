"""Answers with a program that is right on the hidden pairs and wrong on the shown ones."""

from tests.attacks.corpus import VerifyAttack

ATTACK = VerifyAttack(
    must="Wrong: the shown pairs must hold as well.",
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
    return x * 3 + 1 if x > 2 else "who cares"
""",
    reasons=("wrong",),
)
