"""Answers with a program that leaves a file while it is judged."""

from tests.attacks.corpus import VerifyAttack

ATTACK = VerifyAttack(
    must="Nothing is written; the answer is judged by what it returns.",
    task="induction",
    program="""
def f(x):
    return x * 3 + 1
""",
    inputs=("1", "2", "3", "4"),
    outputs=("4", "7", "10", "13"),
    shown=2,
    answer="""
import os

os.system("echo here > $MARKER")

def f(x):
    return 0
""",
    reasons=("wrong", "error"),
    bare="wrote",
)
