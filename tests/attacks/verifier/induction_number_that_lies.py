"""Answers with a program that returns a number of its own class, equal to anything and written like a number."""

from tests.attacks.corpus import VerifyAttack

ATTACK = VerifyAttack(
    must="Opaque: a subclass is not the type it comes from.",
    task="induction",
    program="""
def f(x):
    return x * 3 + 1
""",
    inputs=("1", "2", "3", "4"),
    outputs=("4", "7", "10", "13"),
    shown=2,
    answer="""
class All(int):
    __eq__ = lambda self, other: True
    __repr__ = lambda self: "13"
    __hash__ = int.__hash__

def f(x):
    return All(13)
""",
    reasons=("opaque",),
)
