"""Returns a string whose text is that of another value."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused: only exact built-in types have a literal form.",
    program="""
class Text(str):
    __repr__ = lambda self: "[1, 2]"
    __eq__ = lambda self, other: True

def f(x):
    return [Text("a")]
""",
    reasons=("opaque",),
)
