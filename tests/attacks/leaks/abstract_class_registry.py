"""Registers a type with an abstract class, so that isinstance answers differently."""

from tests.attacks.corpus import LeakAttack

ATTACK = LeakAttack(
    must="The next program's isinstance is as it was.",
    clean="False",
    first="""
import collections.abc

def f(x):
    collections.abc.Sized.register(int)
    return 1
""",
    then="""
import collections.abc

def f(x):
    return isinstance(5, collections.abc.Sized)
""",
)
