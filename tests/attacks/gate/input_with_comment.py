"""Comments out whatever the driver puts behind the input."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Harmless or refused: nothing stands behind the input that a comment could hide.",
    bare=None,
    why_not="A comment eats the closing parenthesis of the pasted call, which is then a syntax error there too.",
    program="""
def f(x):
    return x
""",
    inputs=("3 # )",),
    reasons=("input_not_literal", "accepted"),
    outputs=("3",),
)
