"""Reads the process's own memory through /proc and finds the secret in it."""

from tests.attacks.corpus import RunAttack

ATTACK = RunAttack(
    must="There is no /proc.",
    bare="read",
    program="""
def f(x):
    found = []
    with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as memory:
        for line in maps:
            place, rights = line.split()[:2]
            if rights.startswith("rw") and ("[heap]" in line or line.split()[-1] == "0"):
                start, end = (int(edge, 16) for edge in place.split("-"))
                memory.seek(start)
                block = memory.read(end - start) or b""
                at = block.find(b"planted", 0)
                while at >= 0:
                    found.append(block[at : at + 31].decode("ascii", "replace"))
                    at = block.find(b"planted", at + 1)
    return found
""",
)
