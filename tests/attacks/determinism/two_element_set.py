"""Answers with the order of a set of two, which any two hash seeds share half of the time."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must=(
        "Refused when the snapshots' seeds tell the two apart; where both happen to agree it is accepted, "
        "with one value."
    ),
    bare=None,
    why_not="Two processes agree half of the time: whether they differ is chance.",
    program="""
def f(x):
    return "".join({"a", "b"})
""",
    reasons=("nondeterministic", "accepted"),
)
