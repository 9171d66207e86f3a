"""Is no text at all: every byte value once, as Latin letters."""

from tests.attacks.corpus import ParserAttack

ATTACK = ParserAttack(
    must="Refused: null byte or syntax.",
    text="".join(chr(k) for k in range(256)),
    inspect=("null_byte", "syntax"),
    bare=None,
    why_not="CPython refuses it with a ValueError or SyntaxError.",
)
