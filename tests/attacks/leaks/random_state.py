"""Draws from the shared generator, so that the next program sees other numbers."""

from tests.attacks.corpus import LeakAttack

ATTACK = LeakAttack(
    must="The next program's generator starts from the run's seed, whatever ran before.",
    clean="False",
    first="""
import random

def f(x):
    random.seed(1234)
    return 1
""",
    then="""
import random

def f(x):
    return random.random() == 0.9664535356921388
""",
)
