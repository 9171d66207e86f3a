"""Drops an object whose finaliser never ends as the call returns."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="Fuel runs out.",
    bare="hung",
    program="""
class Trap:
    def __del__(self):
        while True:
            pass

def f(x):
    trap = Trap()
    return 1
""",
    status=("timeout",),
)
