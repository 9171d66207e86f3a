"""Keeps state between inputs on the function itself."""

from tests.attacks.corpus import LeakAttack

ATTACK = LeakAttack(
    must="Each input meets a function that was just defined.",
    clean="1",
    first="""
def f(x):
    f.count = getattr(f, "count", 0) + 1
    return f.count
""",
)
