"""Builds the guest that ships with azr: `make guest`, or `python -m sandbox_wasm.guest_build`.

    sandbox_wasm/guest ──► componentize-py, once a snapshot ──► link.flatten ──► code (once), images
    snapshot.py ─────────┘                                                         │        │
                                                              wasm-opt ◄───────────┘        ▼
                                                                 └──► guest.xz, guest.json ◄── image.immortalise

Needs node and npm; fetches its tools at the versions pinned in requirements/guest.txt and package.json. Builds are not
byte for byte the same (each snapshot draws a hash seed), so what is built is held against the same tests.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import lzma
import os
import shutil
import sys
import time
import venv
from pathlib import Path

import msgspec

from sandbox_wasm.guest_build import image, link
from sandbox_wasm.wasm.guest import ARCHIVE, MANIFEST, Manifest

HERE = Path(__file__).parent
REPOSITORY = HERE.parent.parent
#: Snapshots, each with a hash seed of its own: two show whether a program's answer depends on the order of a set.
SNAPSHOTS = 2
#: wasm-opt's work. `-O4` was tried and gained nothing over `-O3`.
OPTIMISE = ["-O3"]
#: LZMA's window must span a whole image, so that the second is written as what differs from the first.
COMPRESSION = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": 128 << 20, "nice_len": 273}]
#: What all snapshots together may take in the package.
MAX_ARCHIVE_BYTES = 8_000_000


def main() -> None:
    """Build, and put the result among the package's data."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=REPOSITORY / "build" / "guest", help="folder for tools and steps")
    parser.add_argument("--data", type=Path, default=HERE.parent / "wasm" / "data", help="where the result goes")
    arguments = parser.parse_args()
    work = arguments.work.resolve()
    tools = fetch_tools(work)
    components = [componentize(work, number) for number in range(SNAPSHOTS)]
    flattened = [link.flatten(path, path.parent / "linked", tools) for path in components]
    if any(other.code != flattened[0].code for other in flattened):
        raise SystemExit("the snapshots do not share their code; build again, or see link.py")
    code = optimised(flattened[0].code, work, tools)
    link.check_immutable_tables(code, work, tools)
    images = []
    for number, part in enumerate(flattened):
        done, count = image.immortalise(part.image)
        say(f"snapshot {number}: {len(done) >> 20} MiB, {count} immortal objects")
        images.append(done)
    write(arguments.data, code, images, [part.memory_pages for part in flattened], versions())


def say(text: str) -> None:
    """Progress, for the person who waits minutes."""
    print(f"azr guest: {text}", flush=True)


def fetch_tools(work: Path) -> link.Tools:
    """componentize-py in an environment of its own, jco and binaryen beside it."""
    work.mkdir(parents=True, exist_ok=True)
    for needed in ("node", "npm"):
        if shutil.which(needed) is None:
            raise SystemExit(f"`make guest` needs {needed}: install Node.js 20 or newer")
    if not (work / "venv").exists():
        say("fetching componentize-py")
        venv.create(work / "venv", with_pip=True)
    link.run([work / "venv" / "bin" / "pip", "install", "--quiet", "-r", REPOSITORY / "requirements" / "guest.txt"])
    shutil.copy(HERE / "package.json", work / "package.json")
    if not (work / "node_modules" / ".bin" / "wasm-opt").exists():
        say("fetching jco and binaryen")
        link.run(["npm", "install", "--prefix", work, "--no-audit", "--no-fund", "--no-package-lock"])
    return link.Tools("node", work / "node_modules" / ".bin")


def componentize(work: Path, number: int) -> Path:
    """One component: an interpreter that has run snapshot.py."""
    say(f"making snapshot {number}")
    folder = work / f"snapshot-{number}"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(HERE.parent / "guest", folder / "guest", ignore=shutil.ignore_patterns("__pycache__"))
    own = (HERE / "snapshot.py").read_text().replace("\nSNAPSHOT = 0\n", f"\nSNAPSHOT = {number}\n")
    (folder / "app.py").write_text(own)
    # An environment without packages: componentize-py takes in whatever the active one has.
    venv.create(folder / "empty", with_pip=False)
    environment = {**os.environ, "VIRTUAL_ENV": str(folder / "empty")}
    environment.pop("PYTHONPATH", None)
    target = folder / "component.wasm"
    tool = work / "venv" / "bin" / "componentize-py"
    command: list[str | Path] = [tool, "--wit-path", HERE / "world.wit", "--world", "sandbox", "componentize",
                                 "--stub-wasi", "app", "--python-path", folder, "--output", target]  # fmt: skip
    link.run(command, environment)
    return target


def optimised(code: bytes, work: Path, tools: link.Tools) -> bytes:
    """The code after wasm-opt, which takes minutes: kept until tools or system.wat make another code."""
    kept = work / f"optimised-{hashlib.sha256(code + repr(OPTIMISE).encode()).hexdigest()[:16]}.wasm"
    if not kept.exists():
        say("optimising (some minutes)")
        done = link.optimise(code, work, tools, OPTIMISE)
        kept.with_suffix(".part").write_bytes(done)
        kept.with_suffix(".part").replace(kept)
    return kept.read_bytes()


def versions() -> dict[str, str]:
    """What built the guest."""
    pinned = json.loads((HERE / "package.json").read_text())["devDependencies"]
    componentize = (REPOSITORY / "requirements" / "guest.txt").read_text().split("==")[1].split()[0]
    return {"componentize-py": componentize, **pinned}


def write(data: Path, code: bytes, images: list[bytes], memory_pages: list[int], built_with: dict[str, str]) -> None:
    """Compress everything into the package's data, the manifest last."""
    say("compressing (a minute or two)")
    archive = lzma.compress(b"".join([code, *images]), format=lzma.FORMAT_XZ, filters=COMPRESSION)
    if len(archive) > MAX_ARCHIVE_BYTES:
        raise SystemExit(
            f"the guest takes {len(archive)} bytes, more than {MAX_ARCHIVE_BYTES}; import less in snapshot.py"
        )
    manifest = Manifest(
        archive_sha256=hashlib.sha256(archive).hexdigest(),
        code_bytes=len(code),
        image_bytes=tuple(map(len, images)),
        memory_pages=tuple(memory_pages),
        python="3.14.0",
        built_with=built_with,
    )
    data.mkdir(exist_ok=True)
    for name, content in ((ARCHIVE, archive), (MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")):
        aside = data / f".{name}.{os.getpid()}"
        aside.write_bytes(content)
        aside.replace(data / name)
    say(f"{len(archive)} bytes in {data}")


if __name__ == "__main__":
    started = time.monotonic()
    main()
    say(f"done in {time.monotonic() - started:.0f} s")
    sys.exit(0)
