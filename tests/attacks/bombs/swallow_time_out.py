"""Loops for ever and catches whatever a time-out throws into it."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="Fuel is not an exception: nothing can catch it.",
    bare="hung",
    alarm=True,
    program="""
def f(x):
    while True:
        try:
            while True:
                pass
        except BaseException:
            pass
""",
    status=("timeout",),
)
