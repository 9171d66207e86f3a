"""The little that is read and written of WebAssembly's binary format, on modules made by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox_wasm.wasm import binary

#: (module (import "env" "memory" (memory 1)) (import "env" "g" (global (mut i32))) (func (export "f") unreachable))
TYPE = b"\x01\x60\x00\x00"
IMPORTS = b"\x02" + b"\x03env\x06memory\x02\x00\x01" + b"\x03env\x01g\x03\x7f\x01"
MODULE = binary.assemble(
    [
        (binary.TYPE, TYPE),
        (binary.IMPORT, IMPORTS),
        (binary.FUNCTION, b"\x01\x00"),
        (binary.EXPORT, b"\x01\x01f\x00\x00"),
        (binary.CODE, b"\x01\x03" + binary.UNREACHABLE),
        (binary.CUSTOM, b"\x04note"),
    ]
)


@given(st.integers(min_value=0, max_value=2**64))
def test_unsigned_numbers_come_back(number: int) -> None:
    assert binary.Reader(binary.unsigned(number)).unsigned() == number


@given(st.integers(min_value=-(2**63), max_value=2**63))
def test_signed_numbers_come_back(number: int) -> None:
    assert binary.Reader(binary.signed(number)).signed() == number


@pytest.mark.parametrize(
    ("number", "written"), [(0, b"\0"), (127, b"\x7f"), (128, b"\x80\x01"), (624485, b"\xe5\x8e\x26")]
)
def test_unsigned_numbers_are_written_as_the_format_says(number: int, written: bytes) -> None:
    assert binary.unsigned(number) == written


@pytest.mark.parametrize(
    ("number", "written"), [(0, b"\0"), (-1, b"\x7f"), (64, b"\xc0\0"), (-123456, b"\xc0\xbb\x78")]
)
def test_signed_numbers_are_written_as_the_format_says(number: int, written: bytes) -> None:
    assert binary.signed(number) == written


def test_sections_come_back_as_they_were() -> None:
    assert binary.assemble(binary.sections(MODULE)) == MODULE
    with pytest.raises(ValueError, match="not a WebAssembly"):
        binary.sections(b"\x7fELF" + bytes(8))
    with pytest.raises(ValueError, match="ends early"):
        binary.sections(MODULE[:-2])


def test_imports_are_renamed_and_their_types_kept() -> None:
    names = {("env", "memory"): ("host", "m"), ("env", "g"): ("module7", "stack")}
    renamed = dict(binary.sections(binary.rename_imports(MODULE, names)))[binary.IMPORT]
    assert renamed == b"\x02" + b"\x04host\x01m\x02\x00\x01" + b"\x07module7\x05stack\x03\x7f\x01"


def test_exports_are_chosen_and_custom_sections_dropped() -> None:
    kept = binary.keep_exports(MODULE, {"f": "run"})
    assert binary.exports(kept) == {"run": (0, 0)}
    assert binary.CUSTOM not in dict(binary.sections(kept))
    with pytest.raises(ValueError, match=r"\['g'\]"):
        binary.keep_exports(MODULE, {"g": "g"})


def test_an_image_is_lifted_out_and_put_back() -> None:
    memory = (binary.MEMORY, b"\x01\x00\x01")
    data = b"\x02" + b"\x00\x41\x02\x0b\x03abc" + b"\x00\x41\x08\x0b\x01d"
    bare, image = binary.lift_image(binary.assemble([memory, (binary.DATA, data)]))
    assert image == b"\0\0abc\0\0\0d"
    assert bare == binary.assemble([memory])
    again, image_again = binary.lift_image(binary.with_image(bare, image))
    assert (again, image_again) == (bare, image)


def test_a_passive_segment_is_refused() -> None:
    with pytest.raises(ValueError, match="not active"):
        binary.lift_image(binary.assemble([(binary.DATA, b"\x01\x01\x01a")]))


def test_memory_is_resized() -> None:
    module = binary.assemble([(binary.MEMORY, b"\x01\x00\x03")])
    assert binary.memory_pages(module) == 3
    assert binary.memory_pages(binary.with_pages(module, 500)) == 500


def test_a_module_that_only_traps_is_told_from_one_that_does_something() -> None:
    parts = [part for part in binary.sections(MODULE) if part[0] != binary.IMPORT]
    assert binary.refusals(binary.assemble(parts)) == {"f": b"\x60\x00\x00"}
    assert binary.refusals(MODULE) == {}  # it imports, so it may do something
    busy = [(kind, b"\x01\x02\x00\x0b" if kind == binary.CODE else body) for kind, body in parts]
    assert binary.refusals(binary.assemble(busy)) == {}


def test_a_refusing_module_is_one_that_only_traps() -> None:
    functions = {"a": b"\x60\x00\x00", "b": b"\x60\x01\x7f\x01\x7e"}
    assert binary.refusals(binary.refusing(functions)) == functions
