"""Lowers how long a number may be as text."""

from tests.attacks.corpus import LeakAttack

ATTACK = LeakAttack(
    must="The next program writes numbers as long as any.",
    clean="1001",
    first="""
import sys

def f(x):
    sys.set_int_max_str_digits(640)
    return 1
""",
    then="""
def f(x):
    return len(str(10**1000))
""",
)
