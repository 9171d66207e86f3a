"""Begins with a byte order mark."""

from tests.attacks.corpus import ParserAttack

ATTACK = ParserAttack(
    must="Refused, or read as if it were not there.",
    text="\ufeffdef f(x):\n    return 1",
    inspect=("", "syntax"),
    run=("ok", "error"),
    value="1",
    bare=None,
    why_not="CPython refuses it in a str with a SyntaxError.",
)
