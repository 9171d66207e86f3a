"""Answers with the number of references to a shared object."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused as banned, or the same in every snapshot.",
    bare=None,
    why_not="Two fresh processes count the same; the number changes with the interpreter's version.",
    program="""
import sys

def f(x):
    return sys.getrefcount([]) + x
""",
    reasons=("accepted", "nondeterministic", "banned"),
)
