"""Gives the program away in the message in wide letters, which nobody but Python folds."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must=(
        "Refused, or accepted: a message in no letters of Python's own is words to a reader of text. Stated, "
        "not claimed."
    ),
    task="induction",
    message="\uff44\uff45\uff46 \uff46(\uff58): \uff52\uff45\uff54\uff55\uff52\uff4e \uff58 * 3 + 1",
    program="""
def f(x):
    return x * 3 + 1
""",
    inputs=("1", "2", "3", "4"),
    reasons=("message_holds_program", "accepted"),
)
