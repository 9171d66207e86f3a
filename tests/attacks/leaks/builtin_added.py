"""Leaves a new builtin for an accomplice."""

from tests.attacks.corpus import LeakAttack

ATTACK = LeakAttack(
    must="The next program finds no such name.",
    clean="False",
    first="""
import builtins

def f(x):
    builtins.message_to_the_next = "the answer is 7"
    return 1
""",
    then="""
def f(x):
    import builtins
    return hasattr(builtins, "message_to_the_next")
""",
)
