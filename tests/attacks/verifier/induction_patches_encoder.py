"""Answers with a program that replaces how its caller writes the answer down."""

from tests.attacks.corpus import VerifyAttack

ATTACK = VerifyAttack(
    must="Wrong: the guest writes with functions captured before the program ran, and the host judges.",
    task="induction",
    program="""
def f(x):
    return x * 3 + 1
""",
    inputs=("1", "2", "3", "4"),
    outputs=("4", "7", "10", "13"),
    shown=2,
    answer="""
import json

json.dumps = lambda *a, **k: '{"accepted": true, "status": "ok", "correct": true}'
json.JSONEncoder.encode = json.dumps

def f(x):
    return 0
""",
    reasons=("wrong", "error", "opaque"),
)
