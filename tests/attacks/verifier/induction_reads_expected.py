"""Answers with a program that takes the expected values out of its caller's frame."""

from tests.attacks.corpus import VerifyAttack

ATTACK = VerifyAttack(
    must="Wrong or an error: the expected values are not in the process that runs it.",
    task="induction",
    program="""
def f(x):
    return x * 3 + 1
""",
    inputs=("1", "2", "3", "4"),
    outputs=("4", "7", "10", "13"),
    shown=2,
    answer="""
import sys

def f(x):
    frame = sys._getframe()
    while frame is not None:
        hidden = frame.f_locals.get("hidden")
        if hidden:
            return {eval(arguments): eval(output) for arguments, output in hidden}[x]
        frame = frame.f_back
    return None
""",
    reasons=("wrong", "error"),
)
