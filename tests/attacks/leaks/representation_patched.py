"""Patches what the driver uses to write values down."""

from tests.attacks.corpus import LeakAttack

ATTACK = LeakAttack(
    must="The driver writes the next program's value with functions that no program has touched.",
    clean="[1]",
    first="""
import builtins, json

def f(x):
    builtins.repr = lambda value: "hacked"
    json.dumps = json.encoder.JSONEncoder.encode = lambda *a, **k: '{"values": ["hacked", "hacked"]}'
    return 1
""",
    then="""
def f(x):
    return [1]
""",
)
