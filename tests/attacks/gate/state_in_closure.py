"""Keeps state in a closure, so that every call gives another value."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Harmless here: each input meets a closure that was just made. Accepted with the one value it has.",
    bare="differs",
    program="""
def make():
    seen = []

    def note(x):
        seen.append(x)
        return len(seen)

    return note

note = make()

def f(x):
    return note(x)
""",
    reasons=("accepted", "nondeterministic"),
    outputs=("1",),
)
