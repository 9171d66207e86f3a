"""Installs a trace function that changes what later calls return."""

from tests.attacks.corpus import LeakAttack

ATTACK = LeakAttack(
    must="Nothing traces the next program.",
    clean="[1]",
    first="""
import sys

def f(x):
    def spy(frame, event, argument):
        if frame.f_code.co_name == "inner" and event == "call":
            frame.f_locals["bag"].append("spied")
        return None

    sys.settrace(spy)
    return 1
""",
    then="""
def inner(bag):
    return bag

def f(x):
    return inner([1])
""",
)
