"""The flattening, on a component's wiring made by hand: who imports what from whom, with the trampolines gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox_wasm.guest_build import link
from sandbox_wasm.wasm import binary


def wire(module: str, field: str, instance: int, export: str) -> dict[str, object]:
    return {"module": module, "field": field, "instance": instance, "export": export}


#: Instance 0 holds trampolines and their table, 1 is a stub, 2 is libc and calls the host, 3 fills the table.
INSTANCES: list[link.Instance] = [
    {"number": 0, "file": "trampolines.wasm", "wires": []},
    {"number": 1, "file": "stub.wasm", "wires": []},
    {
        "number": 2,
        "file": "libc.wasm",
        "wires": [wire("wasi:random/random@0.2.0", "get-random-bytes", 0, "7"), wire("env", "memory", 9, "memory")],
    },
    {"number": 3, "file": "filler.wasm", "wires": [wire("", "$imports", 0, "$imports"), wire("", "7", 1, "random")]},
]


def test_what_stands_behind_each_trampoline_is_found() -> None:
    behind, filler, table = link._host_calls(INSTANCES)
    assert behind == {(0, "7"): (1, "random")}
    assert (filler, table) == (3, 0)


def test_parts_of_libc_are_found_where_others_find_them() -> None:
    assert link._find(INSTANCES, "memory") == ("module9", "memory")
    with pytest.raises(RuntimeError, match="env/malloc"):
        link._find(INSTANCES, "malloc")


def test_the_module_with_the_entry_points_is_told_by_its_exports() -> None:
    plain = binary.refusing({"other": b"\x60\0\0"})
    guest = binary.refusing({"handle": b"\x60\0\0", "cabi_realloc": b"\x60\0\0"})
    assert link._exporter({4: plain, 5: guest}, "handle") == ("module5", "handle")
    with pytest.raises(RuntimeError, match="handle"):
        link._exporter({4: plain}, "handle")


def test_a_tool_that_fails_says_which_and_why() -> None:
    with pytest.raises(RuntimeError, match=r"sh failed \(3\): broken"):
        link.run(["/bin/sh", "-c", "echo broken >&2; exit 3"])
    assert link.run(["/bin/sh", "-c", "echo fine"]) == "fine\n"


def test_the_system_answers_every_call_a_program_can_make_of_it() -> None:
    text = (Path(link.__file__).parent / "system.wat").read_text()
    for call in (
        "wasi:clocks/wall-clock#now",
        "wasi:clocks/monotonic-clock#now",
        "wasi:random/random#get-random-bytes",
        "wasi:cli/exit#exit",
        "wasi:io/poll#poll",
        "wasi:filesystem/types#[method]descriptor.open-at",
        "wasi:sockets/tcp-create-socket#create-tcp-socket",
    ):
        assert f'(export "{call}")' in text
