"""Leaves a callback that the collector runs in the middle of later programs."""

from tests.attacks.corpus import LeakAttack

ATTACK = LeakAttack(
    must="Nothing of the first program is called while the next runs.",
    clean="3",
    first="""
import gc, builtins

def f(x):
    def callback(phase, information):
        builtins.len = lambda thing: 42

    gc.callbacks.append(callback)
    return 1
""",
    then="""
import gc

def f(x):
    gc.collect()
    return len("abc")
""",
)
