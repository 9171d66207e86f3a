"""The program whose memory, once it has run to its end, is the pristine interpreter every job starts from.

Runs only inside componentize-py, at build time: everything below happens before the snapshot is taken and is frozen
into it. What programs may import is imported, what runs often is warmed, the way to the disk is closed, and the heap is
left so that a job writes to few pages of it. What is left out of the library (asyncio, unittest, tomllib, …) either
cannot work without a host or is not worth its place in the package.

    import the library ──► install the guest ──► warm ──► seal imports ──► fill holes ──► freeze ──► (snapshot)
"""

import gc
import json
import linecache
import sys
from array import array
from types import CodeType, FrameType
from typing import Any

import wit_world  # type: ignore[import-not-found]  # made by componentize-py from world.wit
from guest import world  # type: ignore[import-not-found]  # sandbox_wasm/guest, laid beside this file by the build
from guest.handle import handle, install  # type: ignore[import-not-found]
from guest.library import preload  # type: ignore[import-not-found]

preload()

#: Programs run before the snapshot, so that caches are full and the interpreter's instructions specialised.
WARM_PROGRAMS = [
    "def f(a, b=2):\n    d = {}\n    for c in a:\n        d[c] = d.get(c, 0) + b\n    return sorted(d.items())",
    "import math\nfrom collections import Counter\n\ndef g(x):\n    return [i for i in x if i.isalpha()]\n\n"
    "def f(s):\n    c = Counter(g(s))\n    return {k: math.sqrt(v) for k, v in c.items()}",
    "class A:\n    def __init__(self, n):\n        self.n = n\n\n    def up(self):\n        self.n += 1\n"
    "        return self\n\ndef f(s):\n    a = A(len(s))\n    while a.n < 9:\n        a.up()\n"
    "    return (a.n, s.upper(), s[::-1], True, None, 1.5)",
    "def f(s):\n    try:\n        return int(s)\n    except ValueError as error:\n        return f'{error!r} {s:>8}'",
    "def f(s):\n    return s +",
    "def f(s):\n    return {1, 2, frozenset(s)}, b'ab', -0.0, 10**30, s.nothing",
]


class WitWorld(wit_world.WitWorld):  # type: ignore[misc]
    """The component's export."""

    def handle(self, request: bytes) -> bytes:
        """One job."""
        answer: bytes = handle(request)
        return answer


def warm(guest: WitWorld, rounds: int) -> None:
    """Run ordinary jobs."""
    for number in range(rounds):
        for program in WARM_PROGRAMS:
            job = {"type": "run", "program": program, "inputs": ["'hello'" if number % 2 else "'a', 3"], "entry": "f"}
            guest.handle(json.dumps(job).encode())
            guest.handle(json.dumps({"type": "inspect", "program": program, "entry": "f"}).encode())
        texts = ["1", "[1, 2.5, 'a', None]", "{'a': (1,)}", "{1, 2}", "f(x)", "-1"]
        guest.handle(json.dumps({"type": "literal", "texts": texts, "form": "value"}).encode())


#: Which snapshot this is, from 0: the build puts its number here.
SNAPSHOT = 0

#: By how many objects of a size builds may differ in a snapshot.
_MOST_SHIFTED = 37


def seal() -> None:
    """Close the way to the disk: what was not imported above is a ModuleNotFoundError."""
    linecache.updatecache = lambda *_arguments, **_named: []
    sys.path[:] = []
    sys.path_hooks[:] = []
    sys.path_importer_cache.clear()
    sys.meta_path[:] = [
        finder for finder in sys.meta_path if getattr(finder, "__name__", "") in ("BuiltinImporter", "FrozenImporter")
    ]


def shift_addresses() -> list[object]:
    """Objects of every size, more in each snapshot, not the same in each build: the next ones come to lie elsewhere.

    Without this two snapshots may place objects alike, and the gate would not see that a value holds an address.
    """
    count = 1 + _MOST_SHIFTED * SNAPSHOT + hash("azr") % _MOST_SHIFTED
    sized: list[object] = [bytes(size) for size in range(1, 480, 16) for _ in range(count)]
    return sized + [object() for _ in range(count)] + [float(number) for number in range(count)]


def fill_holes() -> list[bytes]:
    """Occupy the free places between live objects, so that what a job allocates lies together on fresh pages."""
    kept = []
    for size in (*LARGE_HOLES, *range(473, 0, -8)):
        highest = run = 0
        for count in range(60000):
            filler = bytes(size)
            kept.append(filler)
            highest, run = (id(filler), run + 1) if id(filler) > highest else (highest, 0)
            if run > 40 and count > (200 if size < 512 else 0):
                break
    return kept


#: Sizes of holes above what the interpreter's own allocator serves, largest first so that small ones do not break them.
LARGE_HOLES = tuple(int(64 * 1.25**step) for step in range(28, 8, -1))


def reachable() -> list[object]:
    """All objects the interpreter holds, found by walking references from what the collector knows."""
    found: dict[int, object] = {}
    stack = list(gc.get_objects())
    skipped = {id(found), id(stack)}
    while stack:
        thing = stack.pop()
        address = id(thing)
        if address in found or address in skipped or type(thing) is FrameType:
            continue
        found[address] = thing
        stack.extend(gc.get_referents(thing))
        # What follows holds references that it does not show to the collector.
        if type(thing) is CodeType:
            stack += [getattr(thing, name) for name in CODE_PARTS]
        elif isinstance(thing, type):
            stack += [*vars(thing).values(), *vars(thing), thing.__mro__, thing.__bases__, *type.__subclasses__(thing)]
        elif isinstance(thing, DESCRIPTORS):
            stack += [thing.__name__, thing.__qualname__, thing.__objclass__]
    return list(found.values())


def publish(objects: list[object]) -> array[int]:
    """Lay the addresses where the build finds them in the image: after a mark, and how many they are."""
    mark = [0x617A7221, 0x696D6D6F, 0x7274616C, 0x3A3A3A3A]
    return array("I", [*mark, len(objects), *map(id, objects)])


#: Free memory left at the end of the snapshot, so that small programs need not grow it.
HEADROOM = 8 << 20

CODE_PARTS = ("co_consts", "co_names", "co_filename", "co_name", "co_qualname", "co_linetable", "co_exceptiontable",
              "co_varnames", "co_cellvars")  # fmt: skip
DESCRIPTORS: tuple[Any, ...] = (
    type(str.join),
    type(int.__add__),
    type(int.real),
    type(dict.__dict__["fromkeys"]),
    type(CodeType.co_code),
)

guest = WitWorld()
install()
warm(guest, 30)
world.seed_ahead()
seal()
del preload
gc.collect()
immortal_objects = reachable()  # held, so that no address goes to another object before the snapshot is taken
immortal_addresses = publish(immortal_objects)
keep = [fill_holes(), shift_addresses()]
headroom = bytearray(b"\1") * HEADROOM  # not zero: an image is mapped copy-on-write only when it is dense
del headroom
gc.collect()
gc.freeze()
gc.disable()
