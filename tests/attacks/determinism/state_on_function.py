"""Counts its calls on the function itself: every call gives another value."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must=(
        "Harmless: each input meets a function that was just defined, so the value is one. Accepted with it, "
        "or refused."
    ),
    bare=None,
    why_not=(
        "The two calls of the usual check differ, and only its broken test of errors lets the program in: "
        "`gate/state_on_function` shows that."
    ),
    program="""
def f(x):
    f.calls = getattr(f, "calls", 0) + 1
    return f.calls + x
""",
    reasons=("accepted", "nondeterministic"),
    outputs=("4",),
)
