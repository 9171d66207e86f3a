"""Asks for 80 GB in one expression."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="MemoryError inside the guest.",
    bare="memory",
    program="""
def f(x):
    return len([0] * 10**10)
""",
    status=("memory", "error"),
)
