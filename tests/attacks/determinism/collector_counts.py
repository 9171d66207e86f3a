"""Answers with the counts of the garbage collector, which depend on all that ran before."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused as banned, or harmless: counts of a pristine interpreter, the same in every snapshot.",
    bare=None,
    why_not="Two fresh processes count the same; only a warm worker differs, and `leaks/gc_counts` shows that.",
    program="""
import gc

def f(x):
    return sum(gc.get_count()) > 10**6
""",
    reasons=("accepted", "nondeterministic", "banned"),
    outputs=("False",),
)
