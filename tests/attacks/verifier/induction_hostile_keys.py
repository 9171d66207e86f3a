"""Answers with a program whose dict holds keys that compare equal to anything while the dict is written down."""

from tests.attacks.corpus import VerifyAttack

ATTACK = VerifyAttack(
    must="Opaque: a container is written only when all that is in it is data.",
    task="induction",
    program="""
def f(x):
    return {x: x}
""",
    inputs=("1", "2", "3", "4"),
    outputs=("{1: 1}", "{2: 2}", "{3: 3}", "{4: 4}"),
    shown=2,
    answer="""
class Key:
    __eq__ = lambda self, other: True
    __hash__ = lambda self: hash(self.number)
    __lt__ = lambda self, other: True
    __repr__ = lambda self: str(self.number)

    def __init__(self, number):
        self.number = number

class Value:
    __eq__ = lambda self, other: True

def f(x):
    return {Key(x): Value()}
""",
    reasons=("opaque",),
)
