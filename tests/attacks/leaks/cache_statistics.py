"""Counts calls by the statistics of a cache."""

from tests.attacks.corpus import LeakAttack

ATTACK = LeakAttack(
    must="Each input meets an empty cache.",
    clean="(0, 1)",
    first="""
from functools import lru_cache

@lru_cache(maxsize=None)
def g(x):
    return x

def f(x):
    g(x)
    return tuple(g.cache_info()[:2])
""",
)
