"""Puts a module of its own in the place of json."""

from tests.attacks.corpus import LeakAttack

ATTACK = LeakAttack(
    must="The next program imports the real module.",
    clean="'[1]'",
    first="""
import sys, types

def f(x):
    fake = types.ModuleType("json")
    fake.dumps = lambda value: "hacked"
    sys.modules["json"] = fake
    return 1
""",
    then="""
import json

def f(x):
    return json.dumps([1])
""",
)
