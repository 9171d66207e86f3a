"""Puts f into the table of names, where no reader of syntax sees it."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused: no definition, or a banned name.",
    program="""
globals()["f"] = [].__class__
""",
    reasons=("no_entry", "banned"),
    inputs=("(1, 2)",),
)
