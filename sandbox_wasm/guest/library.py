"""The standard library that programs use, imported ahead so that none of them pays for it.

Called once where an interpreter is prepared: before the snapshot in WebAssembly, where what is missing here cannot be
imported later, and in the zygote of the process back end.
"""

from __future__ import annotations

import encodings
import importlib
import pkgutil

#: Public modules that programs of the game import, and private ones that public ones import when first used.
MODULES = """
    abc array ast base64 binascii bisect calendar cmath codecs collections collections.abc colorsys contextlib copy
    copyreg csv dataclasses datetime decimal difflib enum fractions functools graphlib hashlib heapq hmac html
    inspect io ipaddress itertools json keyword locale math numbers operator os os.path pickle pprint queue random re
    reprlib secrets shlex stat statistics string stringprep struct sys textwrap threading time timeit token tokenize
    traceback types typing unicodedata uuid warnings weakref zlib zoneinfo
    _strptime _pylong _pydecimal _pydatetime _compat_pickle
""".split()  # noqa: SIM905  a list of words reads better than a list of strings


def preload() -> list[str]:
    """Import all of them and every text encoding; the names of those this interpreter does not have."""
    missing = []
    for name in [*MODULES, *["encodings." + found.name for found in pkgutil.iter_modules(encodings.__path__)]]:
        try:
            importlib.import_module(name)
        except Exception:
            missing.append(name)
    return missing
