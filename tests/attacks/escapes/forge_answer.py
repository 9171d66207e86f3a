"""Writes an answer of its own where the driver's answer is expected, and leaves."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="The driver's channel is not a descriptor of the guest: the forged answer is never seen.",
    bare="forged",
    program="""
import os

def f(x):
    os.write(1, b'{"value": "\\'forged\\'"}\\n')
    os._exit(0)
""",
    status=("error",),
)
