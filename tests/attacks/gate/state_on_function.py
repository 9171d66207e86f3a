"""Keeps state on the function, so that every call gives another value."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Harmless here: each input meets a function that was just defined. Accepted with the one value it has.",
    bare="differs",
    program="""
def f(x):
    f.calls = getattr(f, "calls", 0) + 1
    return f.calls * 10 + x
""",
    reasons=("accepted", "nondeterministic"),
    outputs=("13",),
)
