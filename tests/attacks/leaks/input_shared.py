"""Changes its argument, in the hope that the next input is the same object."""

from tests.attacks.corpus import LeakAttack

ATTACK = LeakAttack(
    must="Each input is read afresh.",
    inputs=("[1]", "[1]"),
    clean="[1, 'seen']",
    first="""
KEPT = []

def f(x):
    KEPT.append(x)
    KEPT[0].append("seen")
    return KEPT[0] if len(KEPT) == 1 else KEPT[0] + x
""",
)
