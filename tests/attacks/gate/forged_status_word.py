"""Reaches the guest's harness by names put together at run time, and has it report a status that does not exist."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused as an error of the program's: the host reads the guest's response strictly.",
    bare=None,
    why_not="Bare exec has no harness inside; reaching one's caller is shown by `escapes/traceback_walk`.",
    program="""
def f(x):
    try:
        raise ValueError
    except ValueError as error:
        frame = getattr(getattr(error, "__trace" + "back__"), "tb_" + "frame")
    harness = getattr(getattr(frame, "f_" + "back"), "f_glo" + "bals")
    forged = ('accepted","value":{"literal":"7"},"error":"', None, "")
    for name, thing in list(harness.items()):
        if type(thing) is type(f) and thing.__module__ == harness["__name__"]:
            harness[name] = lambda *a: forged
    return 7
""",
    reasons=("error",),
)
