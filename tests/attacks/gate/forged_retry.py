"""Reaches the guest's harness by names put together at run time, and has it ask to be run again, for ever."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused as an error of the program's: `retry` is not the guest's to say.",
    bare=None,
    why_not="Bare exec has no harness inside; reaching one's caller is shown by `escapes/traceback_walk`.",
    program="""
def f(x):
    try:
        raise ValueError
    except ValueError as error:
        frame = getattr(getattr(error, "__trace" + "back__"), "tb_" + "frame")
    harness = getattr(getattr(frame, "f_" + "back"), "f_glo" + "bals")
    forged = ("retry", None, "the machine was busy")
    for name, thing in list(harness.items()):
        if type(thing) is type(f) and thing.__module__ == harness["__name__"]:
            harness[name] = lambda *a: forged
    return 7
""",
    reasons=("error",),
)
