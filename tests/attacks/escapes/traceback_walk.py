"""Reaches its caller's globals through a traceback, without naming sys."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="No frame of the host is on the stack.",
    bare="read",
    program="""
def f(x):
    found = []
    try:
        raise ValueError
    except ValueError as error:
        frame = error.__traceback__.tb_frame
    while frame is not None:
        found += [v for v in frame.f_globals.values() if type(v) is str and v.startswith("planted")]
        frame = frame.f_back
    return found
""",
    status=("ok", "error"),
    value="[]",
)
