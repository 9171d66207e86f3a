"""Leaves an object whose finaliser never ends: the bomb goes off when the driver drops it."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="Fuel counts there as well, or the finaliser is never run.",
    bare="hung",
    program="""
class Trap:
    def __del__(self):
        while True:
            pass

def f(x):
    f.trap = Trap()
    return 1
""",
    status=("ok", "timeout"),
)
