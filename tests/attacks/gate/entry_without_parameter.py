"""Takes no input, so that there is nothing to predict from."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused.",
    program="""
def f():
    return 42
""",
    inputs=("",),
    reasons=("no_parameters", "input_not_literal"),
)
