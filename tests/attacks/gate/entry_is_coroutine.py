"""Makes f a coroutine, which never runs."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused: a coroutine has no literal form.",
    bare="differs",
    program="""
async def f(x):
    return x
""",
    reasons=("opaque", "no_entry"),
)
