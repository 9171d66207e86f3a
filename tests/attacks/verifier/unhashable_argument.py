"""Answers with a set of lists, which throws while the arguments are read."""

from tests.attacks.corpus import VerifyAttack

ATTACK = VerifyAttack(
    must="Malformed: nothing else is disturbed.",
    task="abduction",
    program="""
def f(x):
    return len(x)
""",
    inputs=("{1}",),
    outputs=("1",),
    answer="{[1]}",
    reasons=("malformed",),
    bare="died",
)
