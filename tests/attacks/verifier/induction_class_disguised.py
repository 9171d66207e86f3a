"""Answers with a program whose object claims another class by `__class__`."""

from tests.attacks.corpus import VerifyAttack

ATTACK = VerifyAttack(
    must="Opaque: the real type counts.",
    task="induction",
    program="""
def f(x):
    return x * 3 + 1
""",
    inputs=("1", "2", "3", "4"),
    outputs=("4", "7", "10", "13"),
    shown=2,
    answer="""
class Disguised:
    __class__ = int
    __eq__ = lambda self, other: isinstance(self, int)

def f(x):
    return Disguised()
""",
    reasons=("opaque",),
)
