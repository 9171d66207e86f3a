"""Asks whether an endless generator holds something that it does not."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="Fuel runs out.",
    bare="hung",
    program="""
def f(x):
    def ones():
        while True:
            yield 1

    return 2 in ones()
""",
    status=("timeout",),
)
