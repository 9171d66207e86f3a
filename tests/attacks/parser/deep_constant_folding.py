"""Writes constants that the compiler multiplies out: a few letters, gigabytes."""

from tests.attacks.corpus import ParserAttack

ATTACK = ParserAttack(
    must="An error or the limit of the run; nothing outside it.",
    text="def f(x):\n    return len(((('a' * 4000) * 4000) * 4000) * 4000) and 1",
    inspect=("",),
    run=("error", "memory", "timeout"),
    bare=None,
    why_not=(
        "Compiling is safe since 3.7, which bounds what it folds; running is a memory bomb like those in `bombs`."
    ),
)
