"""Leaves work for when the interpreter ends, after its answer was taken."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="The instance is dropped, not ended: the work is never done.",
    bare="wrote",
    program="""
import atexit, os

def f(x):
    atexit.register(os.system, "echo here > $MARKER")
    return 1
""",
    status=("ok", "error"),
)
