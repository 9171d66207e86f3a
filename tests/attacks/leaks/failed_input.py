"""Leaves state behind on an input that fails, to act on the next."""

from tests.attacks.corpus import LeakAttack

ATTACK = LeakAttack(
    must="An input that fails changes nothing for the next.",
    inputs=("0", "1"),
    clean="'unharmed'",
    first="""
state = "unharmed"

def f(x):
    global state
    if x == 0:
        state = "harmed"
        raise ValueError
    return state
""",
)
