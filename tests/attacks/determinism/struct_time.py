"""Reads the year, month, day, hour, minute and second of the local clock."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused: banned, or two clocks give two values.",
    bare=None,
    why_not="Two calls within one second agree: bare exec shows it only when a second passes between them.",
    program="""
def f(x):
    return tuple(__import__("ti" + "me").localtime())[:6]
""",
    reasons=("banned", "nondeterministic", "error"),
)
