"""Leaves the order of a set behind, so that the next program can tell whether it has the same hash seed."""

from tests.attacks.corpus import LeakAttack

ATTACK = LeakAttack(
    must="The next program finds no earlier order to compare with.",
    clean="None",
    first="""
def f(x):
    import string
    string.order = list({"a", "b", "c"})
    return 1
""",
    then="""
def f(x):
    import string
    return getattr(string, "order", None)
""",
)
