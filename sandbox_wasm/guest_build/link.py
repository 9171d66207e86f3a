"""From a component to one core module without imports: the guest flattened.

Owns the link. `guest_build.__main__` calls it on each component that componentize-py made (with `--stub-wasi`).

    component ── jco transpile ──► 38 core modules ── wiring.mjs ──► who imports what from whom
                                       │                                   │
                                       ▼                                   ▼
                       memory image  ◄─┴─  code, imports renamed  ◄── system.wat for the host's part
                             │                     │
                             │              wasm-merge, wasm-opt
                             ▼                     ▼
                         image.bin             code.wasm  (no imports, no data)

A component instance costs 0.5 ms because each of its 38 modules is instantiated; the one module made here costs a tenth.
The code does not depend on the snapshot, so that snapshots share it and differ in their image alone.
"""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox_wasm.wasm import binary

HERE = Path(__file__).parent
#: Every mutable global of the finished module; `begin` sets all but the first, and `run` puts that one back.
MUTABLE_GLOBALS = ("stack", "wall", "monotonic", "random", "cause", "exit_code")
#: What the finished module exports.
EXPORTS = ("memory", "begin", "reserve", "run", "table", *MUTABLE_GLOBALS)
#: All WebAssembly features may be used (constant globals that name one another are such a one) but for those that
#: change how a module is written down.
FEATURES = ["--all-features", "--disable-compact-imports"]
#: What system.wat takes from the guest's libc.
SYSTEM_NEEDS = ("memory", "__stack_pointer", "__indirect_function_table", "malloc")
#: One core module's record in wiring.json.
Instance = dict[str, Any]
#: Seconds any one tool may take.
TOOL_SECONDS = 900.0


@dataclass(frozen=True)
class Tools:
    """Where the build-time tools live."""

    node: str
    binaries: Path
    """Folder of jco, wasm-as, wasm-merge and wasm-opt."""

    def run(self, *command: str | Path) -> None:
        """Run one tool; its output is shown only when it fails."""
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=TOOL_SECONDS)
        if done.returncode:
            raise RuntimeError(f"{Path(str(command[0])).name} failed ({done.returncode}): {done.stderr[-4000:]}")

    def binary(self, name: str) -> Path:
        """Path of one tool."""
        return self.binaries / name


@dataclass(frozen=True)
class Flattened:
    """What the link makes of one component."""

    code: bytes
    image: bytes


def flatten(component: Path, folder: Path, tools: Tools) -> Flattened:
    """Link the component into one module; `folder` takes what lies between."""
    folder.mkdir(parents=True, exist_ok=True)
    tools.run(tools.binary("jco"), "transpile", component, "-o", folder, "--name", "guest", "--no-typescript",
              "--instantiation", "sync")  # fmt: skip
    tools.run(tools.node, "--experimental-wasm-extended-const", HERE / "wiring.mjs", folder, "guest")
    instances = json.loads((folder / "wiring.json").read_text())
    tools.run(tools.binary("wasm-as"), *FEATURES, HERE / "system.wat", "-o", folder / "system.wasm")
    image, inputs = _rename(folder, instances)
    tools.run(tools.binary("wasm-merge"), "-g", *FEATURES, "--rename-export-conflicts", *inputs,
              "-o", folder / "merged.wasm")  # fmt: skip
    merged = (folder / "merged.wasm").read_bytes()
    return Flattened(binary.keep_exports(merged, {name: name for name in EXPORTS}), image)


def optimise(code: bytes, folder: Path, tools: Tools, flags: list[str]) -> bytes:
    """The module after wasm-opt, its names dropped."""
    source, target = folder / "before.wasm", folder / "after.wasm"
    source.write_bytes(code)
    tools.run(tools.binary("wasm-opt"), *FEATURES, *flags, source, "-o", target)
    parts = [part for part in binary.sections(target.read_bytes()) if part[0] != binary.CUSTOM]
    if any(kind == binary.IMPORT for kind, _ in parts):
        raise RuntimeError("the linked guest still imports something")
    return binary.assemble(parts)


def _rename(folder: Path, instances: list[Instance]) -> tuple[bytes, list[str]]:
    """Write every module with its imports named after their owners; answer the image and wasm-merge's arguments."""
    system = (folder / "system.wasm").read_bytes()
    answered = binary.exports(system)
    trampolines = _host_calls(instances)
    by_number = {instance["number"]: instance for instance in instances}
    image = b""
    arguments = [str(folder / "linked-system.wasm"), "system"]  # first, so that its exports keep their names
    for instance in instances:
        names = {}
        for wire in instance["wires"]:
            owner, export = f"module{wire['instance']}", wire["export"]
            called = trampolines.get((wire["instance"], export))
            if called is not None:  # go past the table of trampolines, straight to what answers
                interface, stub, stub_export = called
                owner, export = ("system", interface) if interface in answered else (f"module{stub}", stub_export)
            names[(wire["module"], wire["field"])] = (owner, export)
        code, data = binary.lift_image(binary.rename_imports((folder / instance["file"]).read_bytes(), names))
        if data:
            if image:
                raise RuntimeError(f"a second module carries data: {instance['file']}")
            image = data
        if _is_filler(instance, by_number):
            continue
        path = folder / f"linked-{instance['number']}.wasm"
        path.write_bytes(code)
        arguments += [str(path), f"module{instance['number']}"]
    names = {("env", field): _find(instances, "env", field) for field in SYSTEM_NEEDS}
    names |= {("guest", field): _exporter(folder, instances, field) for field in ("handle", "cabi_realloc")}
    (folder / "linked-system.wasm").write_bytes(binary.rename_imports(system, names))
    return image, arguments


def _host_calls(instances: list[Instance]) -> dict[tuple[int, str], tuple[str, int, str]]:
    """For each trampoline (instance, export) into the host: the call's name, and the stub that stands in for it.

    A component's modules call their host through a module of trampolines, numbered exports that jump through a table
    which another module, the filler, fills from the stubs under the same numbers.
    """
    filler = next(i for i in instances if any(w["module"] == "" and w["field"] == "$imports" for w in i["wires"]))
    table = next(wire["instance"] for wire in filler["wires"] if wire["field"] == "$imports")
    stubs = {wire["field"]: (wire["instance"], wire["export"]) for wire in filler["wires"]}
    calls = {}
    for instance in instances:
        for wire in instance["wires"]:
            if wire["instance"] == table and wire["export"] in stubs and instance is not filler:
                interface = re.sub(r"@[0-9.]+$", "", wire["module"]) + "#" + wire["field"]
                calls[(table, wire["export"])] = (interface, *stubs[wire["export"]])
    return calls


def _is_filler(instance: Instance, by_number: dict[int, Instance]) -> bool:
    """Whether the module belongs to the trampolines, which nothing calls any more."""
    if any(wire["field"] == "$imports" for wire in instance["wires"]):
        return True
    filler = next(i for i in by_number.values() if any(wire["field"] == "$imports" for wire in i["wires"]))
    return any(w["field"] == "$imports" and w["instance"] == instance["number"] for w in filler["wires"])


def _find(instances: list[Instance], space: str, field: str) -> tuple[str, str]:
    """Where the other modules find this import."""
    for instance in instances:
        for wire in instance["wires"]:
            if (wire["module"], wire["field"]) == (space, field):
                return f"module{wire['instance']}", wire["export"]
    raise RuntimeError(f"no module of the guest imports {space}/{field}")


def _exporter(folder: Path, instances: list[Instance], field: str) -> tuple[str, str]:
    """The module that exports the guest's own entry points: the one with `handle`."""
    for instance in instances:
        if {"handle", "cabi_realloc"} <= set(binary.exports((folder / instance["file"]).read_bytes())):
            return f"module{instance['number']}", field
    raise RuntimeError("no module of the guest exports handle")
