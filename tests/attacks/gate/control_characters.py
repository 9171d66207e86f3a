"""Returns terminal control sequences, for whoever prints outputs or errors."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="The literal that enters shows them escaped; an error's text is stripped where it is shown.",
    program="""
def f(x):
    return "\\x1b[2J\\x1b]0;hacked\\x07" + "\\u202e"
""",
    reasons=("accepted",),
    outputs=(r"'\x1b[2J\x1b]0;hacked\x07\u202e'",),
)
