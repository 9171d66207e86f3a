"""Imports the module of whoever runs it and reads its variables."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="The main module is the program's own or the guest's; it holds no secret.",
    bare="read",
    program="""
import sys

def f(x):
    return getattr(sys.modules["__main__"], "PLANTED", "nothing")
""",
    status=("ok", "error"),
    value="'nothing'",
)
