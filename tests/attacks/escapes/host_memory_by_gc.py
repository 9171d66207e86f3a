"""Looks through all objects of the interpreter for what its host knows."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="The guest's objects hold nothing of the host.",
    bare="read",
    program="""
import gc

def f(x):
    found = []
    for thing in gc.get_objects():
        if type(thing) is dict:
            found += [v for v in list(thing.values()) if type(v) is str and v.startswith("planted")]
    return found[:1]
""",
    status=("ok", "error", "timeout", "memory"),
    value="[]",
)
