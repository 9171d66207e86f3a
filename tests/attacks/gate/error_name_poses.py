"""Proposes an exception whose class is named like another one and its message."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="No error task: the name is no name, and must not be read as that of another class.",
    task="error",
    program="""
def f(x):
    raise type("KeyError: no", (Exception,), {})("message")
""",
    reasons=("error_name",),
    bare=None,
    why_not="A bare check has no error tasks.",
)
