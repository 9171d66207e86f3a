"""Runs bytecode that no compiler makes, to corrupt the interpreter's own stack."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="At worst its own instance traps.",
    bare="died",
    program="""
def g():
    pass

def f(x):
    g.__code__ = g.__code__.replace(co_code=bytes([100, 255, 110, 200, 90, 77]) * 40, co_stacksize=0, co_consts=())
    return g()
""",
    status=("error", "timeout", "memory", "opaque"),
)
