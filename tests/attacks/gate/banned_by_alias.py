"""Hides a banned module behind the name of another."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused as banned.",
    program="""
import os as math, sys as cmath

def f(x):
    return math.sep * x
""",
    reasons=("banned",),
)
