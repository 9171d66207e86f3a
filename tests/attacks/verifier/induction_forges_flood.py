"""Answers with a program that has the guest respond with tens of megabytes."""

from tests.attacks.corpus import VerifyAttack

ATTACK = VerifyAttack(
    must="Never correct; the host takes no more from a guest than it asked for.",
    task="induction",
    program="""
def f(x):
    return x * 3 + 1
""",
    inputs=("1", "2", "3", "4"),
    outputs=("4", "7", "10", "13"),
    shown=2,
    answer="""
import sys

def f(x):
    text = "9" * 12_000_000
    value = '{"literal":"' + text + '","exact":"1","key":"1"}'
    for module in list(sys.modules.values()):
        if hasattr(module, "write_outcomes"):
            module._outcome = lambda *a: '{"status":"ok","value":' + value + "}"
    return 0
""",
    reasons=("wrong", "error", "opaque", "memory", "timeout"),
    bare=None,
    why_not="Bare exec has no such document; `bombs/output_flood` is the same move against it.",
)
