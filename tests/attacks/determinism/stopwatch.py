"""Measures how long something takes and answers by it."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must=(
        "Refused: banned, or two clocks give two values. A clock that stands still in every instance would be harmless."
    ),
    bare="differs",
    program="""
from importlib import import_module

def f(x):
    clock = import_module("ti" + "me")
    return clock.perf_counter_ns() + x
""",
    reasons=("banned", "nondeterministic", "error"),
)
