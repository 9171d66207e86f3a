"""Leaves a message in the environment."""

from tests.attacks.corpus import LeakAttack

ATTACK = LeakAttack(
    must="The next program finds no message.",
    clean="False",
    first="""
import os

def f(x):
    os.environ["MESSAGE"] = "the answer is 7"
    return 1
""",
    then="""
import os

def f(x):
    return "MESSAGE" in os.environ
""",
)
