"""Turns warnings into errors."""

from tests.attacks.corpus import LeakAttack

ATTACK = LeakAttack(
    must="The next program's warnings are only warnings.",
    clean="1",
    first="""
import warnings

def f(x):
    warnings.resetwarnings()
    warnings.simplefilter("error")
    return 1
""",
    then="""
import warnings

def f(x):
    warnings.warn("only a warning")
    return 1
""",
)
