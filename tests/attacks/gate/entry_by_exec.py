"""Defines f by running a text, so that no reader of syntax sees what runs."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused: there is no definition of f to be seen.",
    program="""
exec("def f(x):\\n    return x + 1")
""",
    reasons=("no_entry", "banned"),
)
