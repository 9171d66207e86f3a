"""Makes a random identifier."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused: banned, two seeds give two values, or there is no such source.",
    bare="differs",
    program="""
import uuid

def f(x):
    return str(uuid.uuid4())
""",
    reasons=("banned", "nondeterministic", "error"),
)
