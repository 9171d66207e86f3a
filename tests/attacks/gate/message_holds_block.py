"""Puts the program into the message as a fenced block with other names."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused.",
    task="induction",
    message="Look:\\n```python\\ndef g(n):\\n    return n * 3 + 1\\n```",
    program="""
def f(x):
    return x * 3 + 1
""",
    inputs=("1", "2", "3", "4"),
    reasons=("message_holds_program",),
)
