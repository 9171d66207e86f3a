"""Reads address 0 through ctypes, which ends the process."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="There is no ctypes.",
    bare="died",
    program="""
import ctypes

def f(x):
    return ctypes.string_at(0)
""",
)
