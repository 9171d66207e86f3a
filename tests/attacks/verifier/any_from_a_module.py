"""Answers with the one object of the standard library that equals anything."""

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
    answer="__import__('unittest.mock').mock.ANY",
    reasons=("malformed",),
)
