"""The standard library that programs use, imported ahead so that none of them pays for it.

Called once where an interpreter is prepared: before the snapshot in WebAssembly, where what is missing here cannot be
imported later, and in the zygote of the process back end, where it can.
"""

from __future__ import annotations

import importlib

#: What a program may import: the pure part of the standard library, and what parts of it import only when they run.
#: What is left out (asyncio, unittest, tomllib, …) cannot work without a host or is not worth its place in the package.
LIBRARY = """
    abc argparse array ast base64 binascii bisect builtins calendar cmath codecs collections collections.abc colorsys
    contextlib contextvars copy copyreg csv dataclasses datetime decimal difflib dis enum errno fnmatch fractions
    functools gc getopt glob graphlib hashlib heapq hmac html importlib inspect io ipaddress itertools json keyword
    linecache locale logging marshal math numbers operator os os.path pathlib pickle platform posixpath pprint queue
    quopri random re reprlib sched secrets select shlex shutil signal socket statistics string stringprep struct sys
    tempfile textwrap threading time timeit token tokenize traceback types typing unicodedata urllib.parse uuid warnings
    weakref zlib _pydecimal _pylong _strptime
"""

#: Encodings kept: what text in programs is written in. The East Asian tables are large and hardly asked for.
ENCODINGS = """
    aliases ascii base64_codec charmap cp1252 cp437 hex_codec idna latin_1 iso8859_1 iso8859_15 mac_roman palmos
    punycode quopri_codec raw_unicode_escape rot_13 undefined unicode_escape utf_16 utf_16_be utf_16_le utf_32 utf_32_be
    utf_32_le utf_7 utf_8 utf_8_sig uu_codec zlib_codec
"""


def preload() -> list[str]:
    """Import all of them; the names of those this interpreter does not have."""
    absent = []
    for name in [*LIBRARY.split(), *(f"encodings.{name}" for name in ENCODINGS.split())]:
        try:
            importlib.import_module(name)
        except ImportError:
            absent.append(name)
    return absent
