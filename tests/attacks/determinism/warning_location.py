"""Answers with the text of a traceback, which holds whatever the driver named the program."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused, or the same in every snapshot.",
    bare="accepted",
    program="""
import traceback

def f(x):
    try:
        1 / 0
    except ZeroDivisionError:
        return traceback.format_exc()
""",
    reasons=("accepted", "nondeterministic", "banned"),
)
