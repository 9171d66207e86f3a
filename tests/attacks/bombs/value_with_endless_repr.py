"""Returns an object whose repr never ends: the bomb goes off in the driver."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="The driver never calls code of a value: it is opaque.",
    bare="hung",
    program="""
class Slow:
    def __repr__(self):
        while True:
            pass

def f(x):
    return Slow()
""",
    status=("opaque",),
)
