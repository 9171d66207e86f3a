"""Registers how numbers are copied."""

from tests.attacks.corpus import LeakAttack

ATTACK = LeakAttack(
    must="The next program copies as usual.",
    clean="'1/2'",
    first="""
import copyreg, fractions

def f(x):
    copyreg.pickle(fractions.Fraction, lambda value: (int, (42,)))
    fractions.Fraction.__deepcopy__ = lambda self, memo: 42
    return 1
""",
    then="""
import copy, fractions

def f(x):
    return str(copy.deepcopy(fractions.Fraction(1, 2)))
""",
)
