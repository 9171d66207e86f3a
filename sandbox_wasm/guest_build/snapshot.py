"""The program whose memory, once it has run to its end, is the pristine interpreter every job starts from.

Runs only inside componentize-py, at build time: everything below happens before the snapshot is taken and is frozen into
it. What programs may import is imported, what runs often is warmed, the way to the disk is closed, and the heap is left
so that a job writes to few pages of it.

    import the library ──► install the guest ──► warm ──► seal imports ──► fill holes ──► freeze ──► (snapshot)
"""

import encodings
import gc
import importlib
import json
import linecache
import pkgutil
import sys

#: What a program may import: the pure and the virtual part of the standard library. Dynamic imports of these are named too.
LIBRARY = """
    abc argparse array ast base64 binascii bisect builtins calendar cmath codecs collections collections.abc colorsys
    concurrent.futures contextlib contextvars copy copyreg csv dataclasses datetime decimal difflib dis enum errno fnmatch
    fractions functools gc getopt glob graphlib hashlib heapq hmac html html.entities html.parser importlib inspect io
    ipaddress itertools json keyword linecache locale logging marshal math numbers operator os os.path pathlib pickle
    pickletools platform posixpath pprint queue quopri random re reprlib sched secrets select selectors shlex shutil
    signal socket statistics string stringprep struct symtable sys tempfile textwrap threading time timeit token tokenize
    traceback types typing unicodedata unittest urllib.parse uuid warnings weakref zlib zoneinfo _pydecimal _pydatetime
    _pylong _strptime _colorize tomllib asyncio
""".split()

#: Encodings kept: what text in programs is written in. The East Asian tables are large and hardly asked for.
ENCODINGS = (
    "aliases ascii base64_codec bz2_codec charmap cp1252 cp437 hex_codec idna latin_1 iso8859_1 iso8859_15 mac_roman "
    "palmos punycode quopri_codec raw_unicode_escape rot_13 undefined unicode_escape utf_16 utf_16_be utf_16_le utf_32 "
    "utf_32_be utf_32_le utf_7 utf_8 utf_8_sig uu_codec zlib_codec"
).split()

absent = []
for module in LIBRARY + [f"encodings.{name}" for name in ENCODINGS]:
    try:
        importlib.import_module(module)
    except ImportError:
        absent.append(module)

import wit_world  # noqa: E402  made by componentize-py from world.wit

import guest  # noqa: E402  sandbox_wasm/guest, laid beside this file by the build
from guest.handle import handle, install  # noqa: E402

#: Programs run before the snapshot, so that caches are full and the interpreter's instructions specialised.
WARM_PROGRAMS = [
    "def f(a, b=2):\n    d = {}\n    for c in a:\n        d[c] = d.get(c, 0) + b\n    return sorted(d.items())",
    "import math\nfrom collections import Counter\n\ndef g(x):\n    return [i for i in x if i.isalpha()]\n\n"
    "def f(s):\n    c = Counter(g(s))\n    return {k: math.sqrt(v) for k, v in c.items()}",
    "class A:\n    def __init__(self, n):\n        self.n = n\n\n    def up(self):\n        self.n += 1\n        return self\n\n"
    "def f(s):\n    a = A(len(s))\n    while a.n < 9:\n        a.up()\n    return (a.n, s.upper(), s[::-1], True, None, 1.5)",
    "def f(s):\n    try:\n        return int(s)\n    except ValueError as error:\n        return f'{error!r} {s:>8}'",
    "def f(s):\n    return s +",
    "def f(s):\n    return {1, 2, frozenset(s)}, b'ab', -0.0, 10**30, s.nothing",
]


class WitWorld(wit_world.WitWorld):
    """The component's export."""

    def handle(self, request: bytes) -> bytes:
        """One job."""
        return handle(request)


def warm(world: WitWorld, rounds: int) -> None:
    """Run ordinary jobs."""
    for number in range(rounds):
        for program in WARM_PROGRAMS:
            job = {"type": "run", "program": program, "inputs": ["'hello'" if number % 2 else "'a', 3"], "entry": "f"}
            world.handle(json.dumps(job).encode())
            world.handle(json.dumps({"type": "inspect", "program": program, "entry": "f"}).encode())
        texts = ["1", "[1, 2.5, 'a', None]", "{'a': (1,)}", "{1, 2}", "f(x)", "-1"]
        world.handle(json.dumps({"type": "literal", "texts": texts, "form": "value"}).encode())


def seal() -> None:
    """Close the way to the disk: what was not imported above is a ModuleNotFoundError."""
    linecache.updatecache = lambda *arguments, **named: []
    sys.path[:] = []
    sys.path_hooks[:] = []
    sys.path_importer_cache.clear()
    sys.meta_path[:] = [
        finder for finder in sys.meta_path if getattr(finder, "__name__", "") in ("BuiltinImporter", "FrozenImporter")
    ]


def fill_holes() -> list[bytes]:
    """Occupy the free places between live objects, so that what a job allocates lies together on fresh pages."""
    kept = []
    for size in range(1, 470, 8):
        highest = run = 0
        for count in range(60000):
            filler = bytes(size)
            kept.append(filler)
            highest, run = (id(filler), run + 1) if id(filler) > highest else (highest, 0)
            if run > 40 and count > 200:
                break
    return kept


#: Free memory left at the end of the snapshot, so that small programs need not grow it.
HEADROOM = 8 << 20

world = WitWorld()
install()
warm(world, 30)
seal()
del absent, module, importlib, pkgutil, encodings
gc.collect()
keep = fill_holes()
headroom = bytearray(b"\1") * HEADROOM  # not zero: an image is mapped copy-on-write only when it is dense
del headroom
gc.collect()
gc.freeze()
gc.disable()
