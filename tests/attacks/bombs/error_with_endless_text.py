"""Raises an error whose text never ends: the bomb goes off in the driver's own except clause."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="Fuel counts there as well.",
    bare="hung",
    program="""
class Slow(Exception):
    def __str__(self):
        while True:
            pass

    __repr__ = __str__

def f(x):
    raise Slow
""",
    status=("timeout", "error"),
)
