"""Answers by whether an object in a cycle is already gone."""

from tests.attacks.corpus import GateAttack

ATTACK = GateAttack(
    must="Refused, or the same in every snapshot: the collector runs at the same moments.",
    bare=None,
    why_not="Two fresh processes collect at the same moments; a warm worker may not.",
    program="""
import weakref

class Node:
    pass

def f(x):
    node = Node()
    node.self = node
    watch = weakref.ref(node)
    del node
    kept = [[] for _ in range(2000)]
    return watch() is None
""",
    reasons=("accepted", "nondeterministic", "banned"),
)
