"""Keeps state between inputs in a generator that is advanced once a call."""

from tests.attacks.corpus import LeakAttack

ATTACK = LeakAttack(
    must="Each input meets the generator at its start.",
    clean="0",
    first="""
import itertools

counter = itertools.count()

def f(x):
    return next(counter)
""",
)
