"""Answers with a program that breaks its interpreter off without a word, so that the blame falls on the sandbox."""

from tests.attacks.corpus import VerifyAttack

ATTACK = VerifyAttack(
    must="Decided, and wrong: who breaks an interpreter every time has failed by itself.",
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

def f(x):
    os.abort()
""",
    reasons=("error",),
    bare="died",
)
