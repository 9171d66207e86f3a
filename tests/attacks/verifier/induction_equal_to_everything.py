"""Answers with a program that returns an object equal to anything."""

from tests.attacks.corpus import VerifyAttack

ATTACK = VerifyAttack(
    must="Opaque: only exact built-in types have a value.",
    task="induction",
    program="""
def f(x):
    return x * 3 + 1
""",
    inputs=("1", "2", "3", "4"),
    outputs=("4", "7", "10", "13"),
    shown=2,
    answer="""
class All:
    def __eq__(self, other):
        return True

def f(x):
    return All()
""",
    reasons=("opaque",),
)
