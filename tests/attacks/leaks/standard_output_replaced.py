"""Replaces standard output, so that the next program's prints run its code."""

from tests.attacks.corpus import LeakAttack

ATTACK = LeakAttack(
    must="The next program prints into nothing.",
    clean="1",
    bare="died",
    first="""
import sys

class Trap:
    def write(self, text):
        raise RuntimeError("printed")

    flush = lambda self: None

def f(x):
    sys.stdout = Trap()
    return 1
""",
    then="""
def f(x):
    print("hello")
    return 1
""",
)
