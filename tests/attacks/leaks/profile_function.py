"""Installs a profile function that raises in later calls."""

from tests.attacks.corpus import LeakAttack

ATTACK = LeakAttack(
    must="Nothing profiles the next program.",
    clean="2",
    first="""
import sys

def f(x):
    def spy(frame, event, argument):
        if frame.f_code.co_name == "inner":
            raise RuntimeError("spied")

    sys.setprofile(spy)
    return 1
""",
    then="""
def inner():
    return 2

def f(x):
    return inner()
""",
)
