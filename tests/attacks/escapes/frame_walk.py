"""Walks up the stack into the code that called it and takes its local variables."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="No frame of the host is on the stack; frames of the guest hold no secret.",
    bare="read",
    program="""
import sys

def f(x):
    frame, found = sys._getframe(), []
    while frame is not None:
        found += [str(v) for v in frame.f_locals.values() if type(v) is str and v.startswith("planted")]
        frame = frame.f_back
    return found
""",
    status=("ok", "error"),
    value="[]",
)
