"""Replaces a builtin that the next program uses."""

from tests.attacks.corpus import LeakAttack

ATTACK = LeakAttack(
    must="The next program meets the builtin as it was.",
    clean="3",
    first="""
import builtins

def f(x):
    builtins.len = lambda thing: 42
    return 1
""",
    then="""
def f(x):
    return len("abc")
""",
)
