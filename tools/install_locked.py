"""Install a lock file exactly, without a resolver, and for CPU machines torch in its CPU build.

Called by `make setup` with the virtual environment's own Python. Two things make this more than `pip install -r`:

* The lock is installed with `--no-deps`. Left to a resolver, the CPU build of vLLM brings CUDA builds of torchvision
  and torchaudio, which break `import transformers`, and a gigabyte of triton, which nothing uses.
* torch's CPU wheel carries a local version (`2.13.0+cpu`) that the ordinary package index does not hold. It is tried
  plainly first (find-links or a mirror may have it), then from PyTorch's own CPU index.

pip's own output is counted, not shown: one line of progress, and its errors when it fails.
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

#: The locks were made for these, and the CPU lock holds packages that exist for nothing else (intel-openmp).
SYSTEM, MACHINE = "Linux", "x86_64"

#: What pip prints for each package it looks at; one of them a line of the lock.
_COUNTED = ("Collecting ", "Requirement already satisfied: ")


class PipError(Exception):
    """pip could not install something; the text is what it said."""


def pip_install(*arguments: str, title: str, count: int) -> None:
    """Run pip install in this interpreter's environment, showing one line of progress."""
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--disable-pip-version-check", "--no-input"]
    seen = 0
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(
            [*command, "--progress-bar=off", *arguments], stdout=subprocess.PIPE, stderr=errors, text=True
        ) as pip,
    ):
        assert pip.stdout is not None
        for line in pip.stdout:
            seen += line.startswith(_COUNTED)
            show(f"{title} {min(seen, count)}/{count}" if seen < count else f"{title} {count}/{count}, unpacking")
        if pip.wait() != 0:
            errors.seek(0)
            raise PipError(errors.read())
    show(f"{title}: done", end="\n")


def show(text: str, end: str = "") -> None:
    """Write over the line of progress on a terminal; elsewhere only what is finished."""
    if sys.stdout.isatty():
        print(f"\r\x1b[Kazr: {text}", end=end, flush=True)
    elif end:
        print(f"azr: {text}", end=end, flush=True)


def split_torch(lock: str) -> tuple[str, list[str]]:
    """The version torch is locked at, and the other lines."""
    lines = [line.strip() for line in lock.splitlines() if line.strip() and not line.startswith("#")]
    versions = [line.removeprefix("torch==") for line in lines if line.startswith("torch==")]
    if len(versions) != 1:
        raise SystemExit(f"azr: the lock must pin torch exactly once, found {versions}")
    return versions[0], [line for line in lines if not line.startswith("torch==")]


def install_torch(version: str, cpu_index: str) -> None:
    """torch's CPU wheel, from wherever pip is configured to look, else from PyTorch's own index."""
    wheel = f"torch=={version}+cpu"
    try:
        pip_install(wheel, title=wheel, count=1)
    except PipError:
        pip_install("--index-url", cpu_index, wheel, title=f"{wheel} from {cpu_index}", count=1)


def main() -> int:
    """Install the lock; exit with 1 and the remedy when something cannot be had."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("lock", type=Path, help="lock file, one name==version a line")
    parser.add_argument("--torch-cpu-index", help="torch as its CPU wheel, from this index if no other has it")
    arguments = parser.parse_args()

    if not (3, 11) <= sys.version_info[:2] < (3, 13):
        print(f"azr: {sys.executable} is Python {sys.version.split()[0]}; azr needs 3.11 or 3.12.", file=sys.stderr)
        print("     `make clean setup` makes a new environment with one that fits.", file=sys.stderr)
        return 1
    if (platform.system(), platform.machine()) != (SYSTEM, MACHINE):
        print(
            f"azr: this is {platform.system()} on {platform.machine()}; azr's locked packages are for Linux on x86-64.",
            file=sys.stderr,
        )
        print("     Set it up on such a machine, or in a container or virtual machine of that kind.", file=sys.stderr)
        return 1
    lines = [line.strip() for line in arguments.lock.read_text().splitlines() if line.strip()]
    remedy = "Put torch's +cpu wheel in a folder and set PIP_FIND_LINKS to it."
    try:
        if arguments.torch_cpu_index:
            torch_version, lines = split_torch(arguments.lock.read_text())
            install_torch(torch_version, arguments.torch_cpu_index)
        remedy = (
            "If an index cannot be reached, set PIP_INDEX_URL or PIP_FIND_LINKS to one that can, and run make again."
        )
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as rest:
            rest.write("\n".join(lines) + "\n")
            rest.flush()
            pip_install("--requirement", rest.name, title="locked packages", count=len(lines))
    except PipError as error:
        show("", end="\n")
        print(f"{error}\nazr: the set-up failed; pip says why above. {remedy}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
