"""Reads the clock through a module that imported it for itself."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused: banned, or two clocks give two values.",
    bare="differs",
    program="""
logging = __import__("logg" + "ing")

def f(x):
    return logging.LogRecord("a", 1, "", 1, "", None, None).created
""",
    reasons=("banned", "nondeterministic", "error"),
)
