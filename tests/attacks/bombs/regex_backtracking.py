"""Matches a pattern whose search doubles with each letter, inside one call of C code."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="Fuel runs out inside the matcher.",
    bare="hung",
    program="""
import re

def f(x):
    return bool(re.match(r"(a+)+\\Z", "a" * 40 + "b"))
""",
    status=("timeout",),
)
