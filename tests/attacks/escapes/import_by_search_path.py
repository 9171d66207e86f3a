"""Loads a module of the host by adding its folder to the search path."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="Nothing outside the sealed standard library can be imported.",
    bare="read",
    program="""
import os, sys

def f(x):
    sys.path.insert(0, os.path.dirname("$MODULE_FILE"))
    sys.path_importer_cache.clear()
    return __import__("planted_module").SECRET
""",
    without_landlock=("read",),
)
