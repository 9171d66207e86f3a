"""Takes the name of a temporary file, which is drawn at random."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused: banned, two seeds give two values, or there is no such source.",
    bare="differs",
    program="""
import tempfile

def f(x):
    return next(tempfile._RandomNameSequence())
""",
    reasons=("banned", "nondeterministic", "error"),
)
