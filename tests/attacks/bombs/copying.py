"""Copies a large buffer over and over: many bytes moved by few instructions, so that fuel hardly runs."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="Fuel or the wall clock stops it; the answer is never a wrong value.",
    bare="hung",
    program="""
def f(x):
    source = bytearray(40 << 20)
    while True:
        target = source[:]
""",
    status=("timeout", "memory", "error"),
)
