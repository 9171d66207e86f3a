"""Reading and writing WebAssembly modules section by section.

Owns just enough of the binary format for `link.py` to rename imports, choose exports and lift out the memory image, and
for the runtime (`sandbox_wasm.wasm.guest`) to put an image back: sections, LEB128 numbers, names, data segments.

    bytes ──► sections ──► [(id, body), …] ──► assemble ──► bytes
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

CUSTOM, TYPE, IMPORT, FUNCTION, MEMORY, GLOBAL, EXPORT, CODE, DATA, DATA_COUNT = 0, 1, 2, 3, 5, 6, 7, 10, 11, 12
HEADER = b"\0asm\1\0\0\0"
PAGE = 65536

Section = tuple[int, bytes]


def unsigned(number: int) -> bytes:
    """LEB128 of a number that is not negative."""
    out = bytearray()
    while True:
        low, number = number & 0x7F, number >> 7
        if not number:
            return bytes([*out, low])
        out.append(low | 0x80)


def signed(number: int) -> bytes:
    """LEB128 of a signed number."""
    out = bytearray()
    while True:
        low, number = number & 0x7F, number >> 7
        if (number == 0 and not low & 0x40) or (number == -1 and low & 0x40):
            return bytes([*out, low])
        out.append(low | 0x80)


def name(text: str) -> bytes:
    """A length-prefixed UTF-8 name."""
    raw = text.encode()
    return unsigned(len(raw)) + raw


class Reader:
    """A cursor over bytes."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    @property
    def more(self) -> bool:
        """Whether anything is left."""
        return self.at < len(self.data)

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        if self.at + count > len(self.data):
            raise ValueError(f"module ends early: {count} bytes wanted at {self.at} of {len(self.data)}")
        self.at += count
        return self.data[self.at - count : self.at]

    def byte(self) -> int:
        """The next byte."""
        return self.take(1)[0]

    def unsigned(self) -> int:
        """The next unsigned LEB128 number."""
        value, _, _ = self._leb128()
        return value

    def signed(self) -> int:
        """The next signed LEB128 number."""
        value, bits, last = self._leb128()
        return value - (1 << bits) if last & 0x40 else value

    def _leb128(self) -> tuple[int, int, int]:
        """The bits of the next LEB128 number, how many there are, and its last byte, which holds the sign."""
        value = shift = 0
        while True:
            low = self.byte()
            value |= (low & 0x7F) << shift
            shift += 7
            if not low & 0x80:
                return value, shift, low

    def name(self) -> str:
        """The next name."""
        return self.take(self.unsigned()).decode()


def sections(module: bytes) -> list[Section]:
    """The module's sections in order."""
    if module[:8] != HEADER:
        raise ValueError("not a WebAssembly core module")
    reader = Reader(module)
    reader.take(8)
    out = []
    while reader.more:
        kind = reader.byte()
        out.append((kind, reader.take(reader.unsigned())))
    return out


def assemble(parts: Iterable[Section]) -> bytes:
    """The module made of these sections."""
    return HEADER + b"".join(bytes([kind]) + unsigned(len(body)) + body for kind, body in parts)


def _import_type(reader: Reader) -> bytes:
    start = reader.at
    kind = reader.byte()
    if kind == 0:  # function: its type
        reader.unsigned()
    elif kind in (1, 2):  # table: an element type, then limits; memory: limits
        if kind == 1:
            reader.byte()
        flags = reader.unsigned()
        reader.unsigned()
        if flags & 1:
            reader.unsigned()
    elif kind == 3:  # global: value type and mutability
        reader.take(2)
    else:
        raise ValueError(f"import kind {kind} is not known here")
    return reader.data[start : reader.at]


def rename_imports(module: bytes, names: Mapping[tuple[str, str], tuple[str, str]]) -> bytes:
    """The module with each import (module, field) asked for under its new name."""
    parts: list[Section] = []
    for kind, body in sections(module):
        if kind != IMPORT:
            parts.append((kind, body))
            continue
        reader = Reader(body)
        count = reader.unsigned()
        out = [unsigned(count)]
        for _ in range(count):
            space, field = names[(reader.name(), reader.name())]
            out.append(name(space) + name(field) + _import_type(reader))
        parts.append((kind, b"".join(out)))
    return assemble(parts)


def exports(module: bytes) -> dict[str, tuple[int, int]]:
    """What the module exports: name → (kind, index)."""
    for kind, body in sections(module):
        if kind == EXPORT:
            reader = Reader(body)
            return {reader.name(): (reader.byte(), reader.unsigned()) for _ in range(reader.unsigned())}
    return {}


def keep_exports(module: bytes, wanted: Mapping[str, str]) -> bytes:
    """The module exporting only `wanted` (old name → new name), without custom sections."""
    present = exports(module)
    missing = sorted(set(wanted) - set(present))
    if missing:
        raise ValueError(f"the module does not export {missing}")
    body = unsigned(len(wanted))
    for old, new in wanted.items():
        kind, index = present[old]
        body += name(new) + bytes([kind]) + unsigned(index)
    return assemble((kind, body if kind == EXPORT else old) for kind, old in sections(module) if kind != CUSTOM)


def refusals(module: bytes) -> dict[str, bytes]:
    """If all the module does is trap: its exported functions and their types. Else nothing."""
    bodies = dict(sections(module))
    if IMPORT in bodies or CODE not in bodies:
        return {}
    reader = Reader(bodies[CODE])
    if any(reader.take(reader.unsigned()) != UNREACHABLE for _ in range(reader.unsigned())):
        return {}
    reader = Reader(bodies[TYPE])
    types = [_function_type(reader) for _ in range(reader.unsigned())]
    reader = Reader(bodies[FUNCTION])
    functions = [types[reader.unsigned()] for _ in range(reader.unsigned())]
    return {field: functions[index] for field, (kind, index) in exports(module).items() if kind == 0}


def refusing(functions: Mapping[str, bytes]) -> bytes:
    """A module exporting functions of these types that do nothing but trap."""
    count = unsigned(len(functions))
    indices = [unsigned(index) for index in range(len(functions))]
    body = unsigned(len(UNREACHABLE)) + UNREACHABLE
    return assemble(
        [
            (TYPE, count + b"".join(functions.values())),
            (FUNCTION, count + b"".join(indices)),
            (EXPORT, count + b"".join(name(f) + b"\0" + index for f, index in zip(functions, indices, strict=True))),
            (CODE, count + body * len(functions)),
        ]
    )


#: The body of a function without locals that traps.
UNREACHABLE = b"\0\0\x0b"


def _function_type(reader: Reader) -> bytes:
    start = reader.at
    if reader.byte() != 0x60:
        raise ValueError("a stub has a type that is no function's")
    reader.take(reader.unsigned())
    reader.take(reader.unsigned())
    return reader.data[start : reader.at]


def memory_pages(module: bytes) -> int:
    """How many pages the module's memory starts with."""
    reader = Reader(dict(sections(module))[MEMORY])
    if reader.unsigned() != 1 or reader.unsigned() & ~1:
        raise ValueError("the module does not have one ordinary memory")
    return reader.unsigned()


def lift_image(module: bytes) -> tuple[bytes, bytes]:
    """The module without its data, and the memory image the data made (active segments at constant places only)."""
    image = bytearray()
    parts: list[Section] = []
    for kind, body in sections(module):
        if kind == DATA_COUNT:
            continue
        if kind != DATA:
            parts.append((kind, body))
            continue
        reader = Reader(body)
        for _ in range(reader.unsigned()):
            if reader.unsigned() != 0 or reader.byte() != 0x41:  # active in memory 0, offset by i32.const
                raise ValueError("a data segment is not active at a constant place")
            start = reader.signed() & 0xFFFFFFFF
            if reader.byte() != 0x0B:
                raise ValueError("a data segment's offset is not one constant")
            content = reader.take(reader.unsigned())
            if len(image) < start + len(content):
                image.extend(bytes(start + len(content) - len(image)))
            image[start : start + len(content)] = content
    return assemble(parts), bytes(image)


def with_pages(module: bytes, pages: int) -> bytes:
    """The module whose memory starts with so many pages and has no upper bound of its own."""
    limits = unsigned(1) + unsigned(0) + unsigned(pages)
    return assemble((kind, limits if kind == MEMORY else body) for kind, body in sections(module))


def with_image(module: bytes, image: bytes) -> bytes:
    """The module whose memory starts out as `image`: one active segment."""
    segment = unsigned(1) + unsigned(0) + b"\x41" + signed(0) + b"\x0b" + unsigned(len(image)) + image
    parts = [part for part in sections(module) if part[0] not in (DATA, DATA_COUNT)]
    return assemble([*parts, (DATA, segment)])
