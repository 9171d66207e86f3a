"""Replaces how letters without a code are written."""

from tests.attacks.corpus import LeakAttack

ATTACK = LeakAttack(
    must="The next program's encoding is as it was.",
    clean=r"b'\\N{EM DASH}'",
    first="""
import codecs

def f(x):
    codecs.register_error("namereplace", lambda error: ("hacked", error.end))
    return 1
""",
    then="""
def f(x):
    return "\u2014".encode("ascii", "namereplace")
""",
)
