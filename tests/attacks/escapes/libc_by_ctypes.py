"""Calls the C library's system() through ctypes."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="There is no ctypes.",
    bare="wrote",
    program="""
import ctypes

def f(x):
    return ctypes.CDLL(None).system(b"echo here > $MARKER")
""",
)
