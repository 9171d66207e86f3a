"""Takes the random module out of the table of modules."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused: banned, or two seeds give two values, or the module is not there.",
    bare="differs",
    program="""
import importlib

def f(x):
    return importlib.import_module("".join(["r", "andom"])).randrange(10**9) + x
""",
    reasons=("banned", "nondeterministic", "error"),
)
