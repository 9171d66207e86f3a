"""Answers with an object that says it is equal to anything."""

from tests.attacks.corpus import VerifyAttack

ATTACK = VerifyAttack(
    must="Malformed: an answer is a literal.",
    task="deduction",
    program="""
def f(x):
    return x * 2
""",
    inputs=("7",),
    outputs=("14",),
    answer="type('All', (), {'__eq__': lambda self, other: True})()",
    reasons=("malformed",),
)
