"""Switches on features of the future, which change how a module is compiled."""

from tests.attacks.corpus import ParserAttack

ATTACK = ParserAttack(
    must="Read as Python does; nothing of it is inherited by the next program.",
    text="from __future__ import annotations\ndef f(x: does_not_exist):\n    return 1",
    inspect=("",),
    run=("ok",),
    value="1",
    bare=None,
    why_not="No harm to CPython; whoever prepends lines to the program breaks it.",
)
