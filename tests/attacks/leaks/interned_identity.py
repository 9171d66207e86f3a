"""Sees by object identity whether a class of the same name was made before."""

from tests.attacks.corpus import LeakAttack

ATTACK = LeakAttack(
    must="There are no other subclasses.",
    clean="0",
    first="""
def f(x):
    import sys
    class Trace(Exception):
        pass

    sys.kept = Trace
    return 1
""",
    then="""
def f(x):
    return len([c for c in Exception.__subclasses__() if c.__name__ == "Trace"])
""",
)
