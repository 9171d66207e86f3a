"""Answers with a string of a class of its own that is equal to anything."""

from tests.attacks.corpus import VerifyAttack

ATTACK = VerifyAttack(
    must="Malformed: an answer is a literal.",
    task="deduction",
    program="""
def f(x):
    return str(x)
""",
    inputs=("7",),
    outputs=("'7'",),
    answer="type('S', (str,), {'__eq__': lambda self, other: True, '__hash__': str.__hash__})('no')",
    reasons=("malformed",),
)
