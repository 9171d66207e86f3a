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

A component instance costs 0.5 ms because each of its 38 modules is instantiated; the one module made here costs a
tenth. The code does not depend on the snapshot, so that snapshots share it and differ in their image alone.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Sequence
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
#: Memory that linked code is given while it is nobody's in particular; each snapshot brings its own size.
ANY_PAGES = 1024
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

    def binary(self, name: str) -> Path:
        """Path of one tool."""
        return self.binaries / name


@dataclass(frozen=True)
class Flattened:
    """What the link makes of one component."""

    code: bytes
    """The module without data. The same for every snapshot, but for how large its memory is."""
    image: bytes
    memory_pages: int


def run(command: Sequence[str | Path], environment: dict[str, str] | None = None) -> str:
    """Run one tool and answer what it printed; its complaints are shown only when it fails."""
    done = subprocess.run(
        [str(word) for word in command],
        check=False,
        capture_output=True,
        text=True,
        timeout=TOOL_SECONDS,
        env=environment,
    )
    if done.returncode:
        raise RuntimeError(f"{Path(str(command[0])).name} failed ({done.returncode}): {done.stderr[-4000:]}")
    return done.stdout


def flatten(component: Path, folder: Path, tools: Tools) -> Flattened:
    """Link the component into one module; `folder` takes what lies between."""
    folder.mkdir(parents=True, exist_ok=True)
    run([tools.binary("jco"), "transpile", component, "-o", folder, "--name", "guest", "--no-typescript",
              "--instantiation", "sync"])  # fmt: skip
    run([tools.node, "--experimental-wasm-extended-const", HERE / "wiring.mjs", folder, "guest"])
    instances = json.loads((folder / "wiring.json").read_text())
    run([tools.binary("wasm-as"), *FEATURES, HERE / "system.wat", "-o", folder / "system.wasm"])
    image, inputs = _rename(folder, instances)
    run([tools.binary("wasm-merge"), "-g", *FEATURES, "--rename-export-conflicts", *inputs,
              "-o", folder / "merged.wasm"])  # fmt: skip
    code = binary.keep_exports((folder / "merged.wasm").read_bytes(), {name: name for name in EXPORTS})
    pages = binary.memory_pages(code)
    return Flattened(binary.with_pages(code, ANY_PAGES), image, pages)


def optimise(code: bytes, folder: Path, tools: Tools, flags: list[str]) -> bytes:
    """The module after wasm-opt, its names dropped."""
    source, target = folder / "before.wasm", folder / "after.wasm"
    source.write_bytes(code)
    run([tools.binary("wasm-opt"), *FEATURES, *flags, source, "-o", target])
    parts = [part for part in binary.sections(target.read_bytes()) if part[0] != binary.CUSTOM]
    if any(kind == binary.IMPORT for kind, _ in parts):
        raise RuntimeError("the linked guest still imports something")
    return binary.assemble(parts)


#: Instructions that would change a table, which restoring an instance does not put back.
TABLE_INSTRUCTIONS = ("table.set", "table.grow", "table.fill", "table.copy", "table.init", "elem.drop")


def check_immutable_tables(code: bytes, folder: Path, tools: Tools) -> None:
    """Refuse a guest whose tables or further globals a program could change: `restored` instances rest on that."""
    (folder / "checked.wasm").write_bytes(code)
    text = run([tools.binary("wasm-dis"), *FEATURES, folder / "checked.wasm"])
    used = [instruction for instruction in TABLE_INSTRUCTIONS if f"({instruction}" in text]
    mutable = len(re.findall(r"^ \(global \S+ (?:\(export \S+\) )?\(mut ", text, re.MULTILINE))
    if used or mutable != len(MUTABLE_GLOBALS):
        raise RuntimeError(f"the guest changes tables ({used}) or has {mutable} mutable globals instead of six")


def _rename(folder: Path, instances: list[Instance]) -> tuple[bytes, list[str]]:
    """Write every module with its imports named after their owners; answer the image and wasm-merge's arguments."""
    system = (folder / "system.wasm").read_bytes()
    answered = binary.exports(system)
    modules = {instance["number"]: (folder / instance["file"]).read_bytes() for instance in instances}
    stubs = {number: found for number, module in modules.items() if (found := binary.refusals(module))}
    trampolines, filler, table = _host_calls(instances)
    image = b""
    refused: dict[str, bytes] = {}
    arguments = [str(folder / "linked-system.wasm"), "system"]  # first, so that its exports keep their names
    for instance in instances:
        number = instance["number"]
        if number in (filler, table) or number in stubs:
            continue
        names = {}
        for wire in instance["wires"]:
            owner, export = wire["instance"], wire["export"]
            call = re.sub(r"@[0-9.]+$", "", wire["module"]) + "#" + wire["field"]
            owner, export = trampolines.get(
                (owner, export), (owner, export)
            )  # past the table, straight to what answers
            place = f"module{owner}"
            if owner in stubs:
                place, type_ = ("system", b"") if call in answered else ("refused", stubs[owner][export])
                export = call
                if place == "refused":
                    refused[call] = type_
            names[(wire["module"], wire["field"])] = (place, export)
        code, data = binary.lift_image(binary.rename_imports(modules[number], names))
        if data and image:
            raise RuntimeError(f"a second module carries data: {instance['file']}")
        image = image or data
        path = folder / f"linked-{number}.wasm"
        path.write_bytes(code)
        arguments += [str(path), f"module{number}"]
    needs = {("env", field): _find(instances, field) for field in SYSTEM_NEEDS}
    needs |= {("guest", field): _exporter(modules, field) for field in ("handle", "cabi_realloc")}
    (folder / "linked-system.wasm").write_bytes(binary.rename_imports(system, needs))
    (folder / "linked-refused.wasm").write_bytes(binary.refusing(dict(sorted(refused.items()))))
    return image, [*arguments, str(folder / "linked-refused.wasm"), "refused"]


def _host_calls(instances: list[Instance]) -> tuple[dict[tuple[int, str], tuple[int, str]], int, int]:
    """For each trampoline into the host (instance, export) the stub behind it; and the two instances that make them up.

    A component's modules call their host through a module of trampolines, numbered exports that jump through a table
    which another module, the filler, fills from the stubs under the same numbers.
    """
    filler = next(i for i in instances if any(w["module"] == "" and w["field"] == "$imports" for w in i["wires"]))
    table = next(wire["instance"] for wire in filler["wires"] if wire["field"] == "$imports")
    behind = {
        (table, wire["field"]): (wire["instance"], wire["export"])
        for wire in filler["wires"]
        if wire["field"] != "$imports"
    }
    return behind, filler["number"], table


def _find(instances: list[Instance], field: str) -> tuple[str, str]:
    """Where the other modules find this part of libc."""
    for instance in instances:
        for wire in instance["wires"]:
            if (wire["module"], wire["field"]) == ("env", field):
                return f"module{wire['instance']}", wire["export"]
    raise RuntimeError(f"no module of the guest imports env/{field}")


def _exporter(modules: dict[int, bytes], field: str) -> tuple[str, str]:
    """The guest's own entry point of that name, in the module with `handle`."""
    for number, module in modules.items():
        if {"handle", "cabi_realloc"} <= set(binary.exports(module)):
            return f"module{number}", field
    raise RuntimeError("no module of the guest exports handle")
