"""Sees how much ran before it by the collector's counts."""

from tests.attacks.corpus import LeakAttack

ATTACK = LeakAttack(
    must="The counts are those of a pristine interpreter.",
    clean="False",
    first="""
def f(x):
    import gc, sys
    gc.disable()
    sys.kept = [[] for _ in range(100_000)]
    return 1
""",
    then="""
import gc

def f(x):
    return sum(gc.get_count()) > 50_000
""",
)
