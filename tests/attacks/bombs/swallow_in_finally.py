"""Outlives a time-out by looping on in a finally block."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="Fuel runs out there as well.",
    bare="hung",
    alarm=True,
    program="""
def f(x):
    try:
        while True:
            pass
    finally:
        while True:
            pass
""",
    status=("timeout",),
)
