"""Answers a task that has no pairs at all, so that nothing can be wrong."""

from tests.attacks.corpus import VerifyAttack

ATTACK = VerifyAttack(
    must="Not correct: where there is nothing to judge by, nothing is right.",
    task="induction",
    program="""
def f(x):
    return x * 3 + 1
""",
    inputs=(),
    outputs=(),
    shown=0,
    answer="""
def f(x):
    return "anything"
""",
    reasons=("unreadable_expected", "wrong"),
)
