"""Install a lock file exactly, without a resolver, and torch in its CPU build.

Called by `make setup` with the virtual environment's own Python. Two things make this more than `pip install -r`:

* The lock is installed with `--no-deps`. Left to a resolver, the CPU build of vLLM brings CUDA builds of torchvision
  and torchaudio, which break `import transformers`, and a gigabyte of triton, which nothing uses.
* torch's CPU wheel carries a local version (`2.13.0+cpu`) that the ordinary package index does not hold. It is tried
  plainly first (find-links or a mirror may have it), then from PyTorch's own CPU index.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path


def pip_install(*arguments: str) -> bool:
    """Run pip install in this interpreter's environment; say whether it succeeded."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check"]
    return subprocess.run([*command, *arguments], check=False).returncode == 0


def split_torch(lock: str) -> tuple[str, list[str]]:
    """The version torch is locked at, and the other lines."""
    lines = [line.strip() for line in lock.splitlines() if line.strip() and not line.startswith("#")]
    versions = [line.removeprefix("torch==") for line in lines if line.startswith("torch==")]
    if len(versions) != 1:
        raise SystemExit(f"the lock must pin torch exactly once, found {versions}")
    return versions[0], [line for line in lines if not line.startswith("torch==")]


def main() -> int:
    """Install the lock; exit with 1 and the remedy when something cannot be had."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("lock", type=Path, help="lock file, one name==version a line")
    parser.add_argument("--torch-cpu-index", required=True, help="index asked for torch's CPU wheel if none other has it")
    arguments = parser.parse_args()

    torch_version, others = split_torch(arguments.lock.read_text())
    wheel = f"torch=={torch_version}+cpu"
    if not pip_install(wheel):
        print(f"azr: {wheel} is not in the configured indexes; asking {arguments.torch_cpu_index}", flush=True)
        if not pip_install("--index-url", arguments.torch_cpu_index, wheel):
            print(f"azr: {wheel} could not be had. Put its wheel in a folder and set PIP_FIND_LINKS to it.", file=sys.stderr)
            return 1
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as rest:
        rest.write("\n".join(others) + "\n")
        rest.flush()
        if not pip_install("--requirement", rest.name):
            print("azr: the locked packages could not be installed; pip says why above.", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
