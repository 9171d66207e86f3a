"""The guest that ships with azr: CPython as one WebAssembly module without imports, in several snapshots.

Owns the package data in `data/`: `guest.xz` and `guest.json`, both written by `sandbox_wasm.guest_build`. The engine
asks for a snapshot's module; nothing here runs it.

    guest.xz ──lzma──► code │ image 0 │ image 1 │ …          guest.json: lengths, digests, what built them
                         └────┬────┘
                              ▼  one data segment
                        module of snapshot 0

Snapshots share their code and differ in the memory they start from: another hash seed, other orders of sets.
"""

from __future__ import annotations

import hashlib
import lzma
from functools import cache
from importlib import resources

import msgspec

from sandbox_wasm.wasm import binary

#: Package data.
ARCHIVE, MANIFEST = "guest.xz", "guest.json"


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What lies in the archive."""

    archive_sha256: str
    code_bytes: int
    image_bytes: tuple[int, ...]
    """One length a snapshot."""
    memory_pages: tuple[int, ...]
    """With how much memory each snapshot starts."""
    python: str
    built_with: dict[str, str]


class GuestDamagedError(RuntimeError):
    """The shipped guest is not what its digest says."""


@cache
def manifest() -> Manifest:
    """The shipped manifest."""
    return msgspec.json.decode((resources.files(__package__) / "data" / MANIFEST).read_bytes(), type=Manifest)


def module(snapshot: int) -> bytes:
    """The WebAssembly module of one snapshot. Takes about a second: the engine caches what it compiles from it."""
    about = manifest()
    if not 0 <= snapshot < len(about.image_bytes):
        raise ValueError(f"there is no snapshot {snapshot}: the guest has snapshots 0 to {len(about.image_bytes) - 1}")
    archive = (resources.files(__package__) / "data" / ARCHIVE).read_bytes()
    digest = hashlib.sha256(archive).hexdigest()
    if digest != about.archive_sha256:
        raise GuestDamagedError(
            f"{ARCHIVE} has sha256 {digest}, its manifest says {about.archive_sha256}: install azr again"
        )
    return unpack(lzma.decompress(archive), about, snapshot)


def unpack(content: bytes, about: Manifest, snapshot: int) -> bytes:
    """One snapshot's module out of the archive's content."""
    start = about.code_bytes + sum(about.image_bytes[:snapshot])
    image = content[start : start + about.image_bytes[snapshot]]
    return binary.with_image(binary.with_pages(content[: about.code_bytes], about.memory_pages[snapshot]), image)


def digest() -> str:
    """What identifies the guest in caches."""
    return manifest().archive_sha256
