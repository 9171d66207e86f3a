"""Replaces a method of a class of the standard library."""

from tests.attacks.corpus import LeakAttack

ATTACK = LeakAttack(
    must="The next program meets the class as it was.",
    clean="[('a', 2)]",
    first="""
from collections import Counter

def f(x):
    Counter.most_common = lambda self, n=None: [("hacked", 0)]
    return 1
""",
    then="""
from collections import Counter

def f(x):
    return Counter("aab").most_common(1)
""",
)
