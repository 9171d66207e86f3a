"""Adds an audit hook, which nothing can remove, that forbids later programs to compile."""

from tests.attacks.corpus import LeakAttack

ATTACK = LeakAttack(
    must="Nothing audits the next program.",
    clean="2",
    first="""
import sys

def f(x):
    def hook(event, arguments):
        if event == "object.__getattr__" or event == "compile":
            raise RuntimeError("forbidden")

    sys.addaudithook(hook)
    return 1
""",
    then="""
def f(x):
    return eval("1 + 1")
""",
)
