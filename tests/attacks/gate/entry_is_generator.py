"""Makes f a generator, whose values are never computed."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused: a generator has no literal form.",
    bare="differs",
    program="""
def f(x):
    yield x
""",
    reasons=("opaque",),
)
