"""Writes a banned name in letters that Python folds into it."""

from tests.attacks.corpus import ParserAttack

ATTACK = ParserAttack(
    must="The names that inspection reports are the folded ones, so that the banned list meets it.",
    text="def f(x):\n    return \uff45\uff56\uff41\uff4c('1')",
    inspect=("",),
    run=("ok",),
    value="1",
    bare=None,
    why_not="No harm to the parser; a banned list that searches the text misses it.",
)
