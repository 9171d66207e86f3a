"""Turns a huge number into text after lifting the guard against that."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="Fuel runs out inside the conversion.",
    bare="hung",
    program="""
import sys

def f(x):
    sys.set_int_max_str_digits(0)
    return str((1 << 8_000_000) - 1)[:5]
""",
    status=("timeout", "memory", "error"),
)
