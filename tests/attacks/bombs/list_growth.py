"""Grows a list for ever."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="It ends in the guest's own MemoryError or by fuel.",
    bare="memory",
    program="""
def f(x):
    grown = []
    while True:
        grown.extend([0] * 100_000)
""",
    status=("memory", "timeout", "error"),
)
