"""Recurses through C code that counts no depth, so that the machine's stack overflows."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="It ends in RecursionError or a trap of its own instance.",
    bare="died",
    program="""
def f(x):
    chained = iter([x])
    for _ in range(150_000):
        chained = filter(None, chained)
    return list(chained)
""",
    status=("error", "memory", "timeout"),
)
