"""Replaces the builtin that makes classes, so that every class of the next program is the attacker's."""

from tests.attacks.corpus import LeakAttack

ATTACK = LeakAttack(
    must="The next program's classes are its own.",
    clean="'Point'",
    first="""
import builtins

def f(x):
    builtins.__build_class__ = lambda body, name, *bases, **more: int
    return 1
""",
    then="""
def f(x):
    class Point:
        pass

    return Point.__name__
""",
)
