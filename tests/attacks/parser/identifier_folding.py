"""Writes f in letters that Python folds into f, so that readers of text do not find it."""

from tests.attacks.corpus import ParserAttack

ATTACK = ParserAttack(
    must="Read as Python does: it is f, for inspection as for running.",
    text="def \U0001d41f(x):\n    return 1",
    inspect=("", "no_entry"),
    run=("ok",),
    value="1",
    bare=None,
    why_not="No harm to CPython; a reader that searches the text for `def f` disagrees.",
)
