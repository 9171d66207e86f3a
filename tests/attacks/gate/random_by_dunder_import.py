"""Imports a banned module by the function behind the statement."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused as banned.",
    program="""
def f(x):
    return __import__('random').randint(0, 10**9)
""",
    reasons=("banned",),
)
