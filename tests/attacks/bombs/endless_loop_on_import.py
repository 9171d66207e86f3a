"""Loops for ever before its function even exists."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="Fuel runs out: the module's own code counts as the run's.",
    bare="hung",
    program="""
while True:
    pass

def f(x):
    return x
""",
    status=("timeout",),
)
