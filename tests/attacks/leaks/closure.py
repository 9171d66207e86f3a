"""Keeps state between inputs in a closure."""

from tests.attacks.corpus import LeakAttack

ATTACK = LeakAttack(
    must="Each input meets a closure that was just made.",
    clean="1",
    first="""
def make():
    count = 0

    def inner(x):
        nonlocal count
        count += 1
        return count

    return inner

f = make()
""",
)
