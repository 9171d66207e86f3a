"""Reaches the guest's harness by names put together at run time, and has it ask to be run again, for ever."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused after at most two runs: `retry` is not the guest's to say.",
    bare=None,
    why_not="Bare exec has no harness inside; reaching one's caller is shown by `escapes/traceback_walk`.",
    program="""
def f(x):
    try:
        raise ValueError
    except ValueError as error:
        frame = getattr(getattr(error, "__trace" + "back__"), "tb_" + "frame")
    harness = getattr(getattr(frame, "f_" + "back"), "f_glo" + "bals")
    harness["_after"] = lambda outcome: ("retry", None, "busy")
    return 7
""",
    reasons=("crashed", "error", "opaque", "banned", "timeout"),
)
