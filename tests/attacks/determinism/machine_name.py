"""Answers with facts of the machine."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused as banned or as an error, or the same in every snapshot: nothing of the host is seen.",
    bare="accepted",
    program="""
import platform

def f(x):
    return platform.node()
""",
    reasons=("banned", "nondeterministic", "error", "accepted"),
)
