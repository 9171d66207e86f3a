"""Leaves a file on the host."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="Nothing can be opened for writing.",
    bare="wrote",
    program="""
def f(x):
    with open("$MARKER", "w") as marker:
        marker.write("here")
""",
)
