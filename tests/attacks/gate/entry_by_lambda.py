"""Defines f by a lambda."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Harmless: f is a function and runs as written. Accepted, or refused for having no definition.",
    program="""
f = lambda x: x + 1
""",
    reasons=("accepted", "no_entry"),
    outputs=("4",),
)
