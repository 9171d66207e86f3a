"""Continues a line ten thousand times."""

from tests.attacks.corpus import ParserAttack

ATTACK = ParserAttack(
    must="Read or refused; it is one line.",
    text="def f(x):\n    return 1 \\\n" + "    \\\n" * 8_000 + "    + 1",
    inspect=("", "syntax", "too_large"),
    run=("ok", "error"),
    value="2",
    bare=None,
    why_not="Flat to CPython's tokenizer.",
)
