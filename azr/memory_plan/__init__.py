"""The memory plan: what a run asks of its GPUs, worked out before anything starts."""

from azr.memory_plan.cards import CARDS, Card, card_named
from azr.memory_plan.engine import Engine
from azr.memory_plan.plan import MemoryPlan, make_plan
from azr.memory_plan.shapes import PUBLISHED, Shape, shape_of

__all__ = ["CARDS", "PUBLISHED", "Card", "Engine", "MemoryPlan", "Shape", "card_named", "make_plan", "shape_of"]
