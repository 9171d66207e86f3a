"""Holds a null byte, at which readers written in C stop."""

from tests.attacks.corpus import ParserAttack

ATTACK = ParserAttack(
    must="Refused for the null byte.",
    text="def f(x):\n    return 1\0\n    return 2",
    inspect=("null_byte",),
    bare=None,
    why_not=(
        "CPython refuses it with a ValueError or SyntaxError; a reader in C that stopped there would see "
        "another program."
    ),
)
