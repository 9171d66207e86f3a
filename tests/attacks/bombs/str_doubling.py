"""Doubles a string for ever."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="MemoryError inside the guest.",
    bare="memory",
    program="""
def f(x):
    while True:
        x = x + x
""",
    status=("memory", "timeout", "error"),
)
