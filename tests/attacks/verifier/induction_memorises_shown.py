"""Answers with a table of the shown pairs."""

from tests.attacks.corpus import VerifyAttack

ATTACK = VerifyAttack(
    must="Wrong: the hidden pairs decide.",
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
    return {1: 4, 2: 7}.get(x, 0)
""",
    reasons=("wrong",),
    bare=None,
    why_not="The published verifier asks the hidden pairs as well; one that asks only the shown ones falls for it.",
)
