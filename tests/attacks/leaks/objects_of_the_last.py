"""Searches all objects for what the program before it left in memory."""

from tests.attacks.corpus import LeakAttack

ATTACK = LeakAttack(
    must="Nothing of one program is in the memory of the next.",
    clean="[]",
    first="""
KEPT = {"left": ["a secret of the first program"]}

def f(x):
    import sys
    sys.kept = [KEPT, f]
    return 1
""",
    then="""
import gc

def f(x):
    return [d["left"] for d in gc.get_objects() if type(d) is dict and "left" in d]
""",
)
