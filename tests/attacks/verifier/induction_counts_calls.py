"""Answers with a program that tells hidden inputs by how often it was called, and replays a sequence."""

from tests.attacks.corpus import VerifyAttack

ATTACK = VerifyAttack(
    must="Wrong: each input meets a program that was just started.",
    task="induction",
    program="""
def f(x):
    return x * 3 + 1
""",
    inputs=("1", "2", "3", "4"),
    outputs=("4", "7", "10", "13"),
    shown=2,
    answer="""
calls = 0

def f(x):
    global calls
    calls += 1
    return {1: 10, 2: 13}[calls]
""",
    reasons=("wrong", "error"),
)
