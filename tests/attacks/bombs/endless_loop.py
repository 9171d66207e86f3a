"""Loops for ever."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="Fuel runs out.",
    bare="hung",
    program="""
def f(x):
    while True:
        pass
""",
    status=("timeout",),
)
