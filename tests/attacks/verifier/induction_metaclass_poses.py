"""Answers with a program whose object has a class that equals any type of data, by its metaclass."""

from tests.attacks.corpus import VerifyAttack

ATTACK = VerifyAttack(
    must="Opaque: types are told by identity, and no method of a metaclass is asked.",
    task="induction",
    program="""
def f(x):
    return x * 3 + 1
""",
    inputs=("1", "2", "3", "4"),
    outputs=("4", "7", "10", "13"),
    shown=2,
    answer="""
class Poser(type):
    __eq__ = lambda self, other: True
    __hash__ = lambda self: hash(range)
    __instancecheck__ = lambda self, thing: True

class Number(metaclass=Poser):
    start, stop, step = 4, 5, 1
    __eq__ = lambda self, other: True
    __repr__ = lambda self: "4"

def f(x):
    return Number()
""",
    reasons=("opaque",),
)
