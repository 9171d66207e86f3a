"""What something asks of a card: named amounts that add up."""

from __future__ import annotations

import msgspec

from azr.memory_plan.cards import GIB


class Item(msgspec.Struct, frozen=True):
    """One named amount."""

    name: str
    bytes: int


class Demand(msgspec.Struct, frozen=True):
    """Everything one process asks of its card."""

    items: tuple[Item, ...]

    @property
    def total(self) -> int:
        """The sum."""
        return sum(item.bytes for item in self.items)

    def of(self, name: str) -> int:
        """The amount of that name."""
        return next(item.bytes for item in self.items if item.name == name)


def gib(amount: float) -> str:
    """Bytes as a person reads them."""
    return f"{amount / GIB:.1f} GiB"
