"""Accelerators by name, and what of their memory a program can have."""

from __future__ import annotations

import msgspec

from azr.errors import AzrError
from azr.names import did_you_mean

GIB = 1 << 30


class Card(msgspec.Struct, frozen=True):
    """A type of accelerator."""

    name: str
    memory: int
    """Bytes that programs can have: what the driver reports, rounded down to whole GiB."""


_GIB_OF = {
    "A100-40GB": 39,
    "A100-80GB": 79,
    "B200": 178,
    "H100-80GB": 78,
    "H200": 139,
    "L4": 22,
    "L40S": 44,
    "RTX-4090": 23,
    "RTX-5090": 31,
}

CARDS: dict[str, Card] = {name: Card(name, size * GIB) for name, size in _GIB_OF.items()}


def card_named(name: str) -> Card:
    """The card of that name, upper or lower case; an unknown one is refused with those that begin so, or the next."""
    for known, card in CARDS.items():
        if known.lower() == name.lower():
            return card
    begun = [repr(known) for known in CARDS if known.lower().startswith(name.lower())]
    hint = f"did you mean {' or '.join(begun)}?" if begun else did_you_mean(name, CARDS)
    raise AzrError(f"no GPU type is called {name!r}; {hint}", f"choose one of {', '.join(CARDS)}")
