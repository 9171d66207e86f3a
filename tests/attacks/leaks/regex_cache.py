"""Poisons the cache of compiled patterns."""

from tests.attacks.corpus import LeakAttack

ATTACK = LeakAttack(
    must="The next program's patterns are compiled for it.",
    clean="True",
    first="""
import re

def f(x):
    re.compile("b+")
    for cache in (re._cache, getattr(re, "_cache2", {})):
        for key in list(cache):
            cache[key] = re.compile("never")
        cache[(str, "a+", 0)] = re.compile("never")
    return 1
""",
    then="""
import re

def f(x):
    return bool(re.fullmatch("a+", "aaa"))
""",
)
