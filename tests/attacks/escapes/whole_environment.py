"""Returns all of the environment, without knowing any name in it."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="Whatever comes out holds nothing of the host's environment.",
    bare="read",
    program="""
import os

def f(x):
    return sorted(dict(os.environ).values())
""",
    status=("ok", "error"),
)
