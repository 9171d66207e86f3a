"""Leaves a file on the host through os.open, below whatever guards open()."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="The guest has no such call, or it ends the run.",
    bare="wrote",
    program="""
import os

def f(x):
    descriptor = os.open("$MARKER", os.O_CREAT | os.O_WRONLY)
    return os.write(descriptor, b"here")
""",
)
