"""The machine is described with what was found, and each shortage says how to mend it."""

from __future__ import annotations

import platform
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from azr.doctor import machine
from azr.doctor.finding import Finding
from learner.attention.registry import choose, survey

_GIB = 1 << 30


def _by_subject() -> dict[str, Finding]:
    return {finding.subject: finding for finding in machine.examine_machine()}


def test_everything_is_looked_at() -> None:
    wanted = {"cores", "memory", "disk", "/dev/shm", "open files", "attention", "system", "seccomp filters"}
    assert wanted | {"PAGEMAP_SCAN", "user namespaces"} <= set(_by_subject())


@pytest.mark.parametrize(("free_gib", "level"), [(100.0, "ok"), (5.0, "warn"), (0.5, "fail")])
def test_disk_space_is_graded(free_gib: float, level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil._ntuple_diskusage(200 * _GIB, 0, int(free_gib * _GIB))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    finding = machine._space("disk", Path("/"), "free some", machine.COMFORTABLE_DISK)
    assert finding.level == level
    assert f"{free_gib:.1f} of 200.0 GiB free" in finding.found


@pytest.mark.parametrize(
    ("release", "level"),
    [("6.18.44-generic", "ok"), ("6.7.0", "ok"), ("6.6.99", "warn"), ("5.15.0-91-generic", "warn")],
)
def test_restoring_instances_wants_a_kernel_that_can_scan_pages(
    release: str, level: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "release", lambda: release)
    found = _by_subject()["PAGEMAP_SCAN"]
    assert found.level == level


@pytest.mark.parametrize(("extra", "level"), [("cpu", "ok"), (None, "ok"), ("gpu", "fail")])
def test_no_cuda_device_matters_only_to_the_gpu_engine(
    extra: str | None, level: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "installed_extra", lambda: extra)
    monkeypatch.setattr(machine, "_asked", lambda *_: [])
    assert _by_subject()["cuda"].level == level


def test_devices_that_a_cpu_build_leaves_idle_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "installed_extra", lambda: "cpu")
    monkeypatch.setattr(machine, "torch_cuda", lambda: None)
    monkeypatch.setattr(machine, "_asked", lambda *_: ["NVIDIA H200, 143771 MiB, 570.1, 9.0"])
    found = _by_subject()
    assert found["cuda:0"].found.startswith("NVIDIA H200")
    assert found["cuda"].level == "warn"
    assert "EXTRA=gpu" in found["cuda"].mend


class TestAttention:
    @staticmethod
    def asked(monkeypatch: pytest.MonkeyPatch, finding: Finding) -> Finding:
        """What is told on a machine with a GPU whose trial found this."""
        monkeypatch.setattr(machine, "run_trial", lambda _trial: finding)
        return machine._attention(on_gpu=True)

    def test_without_a_gpu_nobody_is_asked(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(machine, "run_trial", lambda _trial: pytest.fail("torch would be imported"))
        found = machine._attention(on_gpu=False)
        assert (found.level, found.found) == ("ok", "sdpa; all others need a CUDA device")

    def test_the_back_ends_speak_for_themselves(self) -> None:
        found = machine._attention(on_gpu=True)
        assert all(f"; {name} " in found.found for name in list(survey())[1:]), found.found
        assert found.found.startswith(f"auto takes {choose().name}; flash_attention_3 ")

    @pytest.mark.parametrize(
        ("chosen", "level"), [("flash_attention_2", "ok"), ("torch_varlen", "warn"), ("sdpa", "warn")]
    )
    def test_a_gpu_without_a_flash_kernel_is_warned_of(
        self, chosen: str, level: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        found = self.asked(monkeypatch, Finding("machine", "attention", "ok", f"auto takes {chosen}; …"))
        assert (found.level, found.found) == (level, f"auto takes {chosen}; …")
        assert ("flash-attn" in found.mend) == (level == "warn")

    def test_a_registry_that_cannot_be_asked_is_told_as_it_is(self, monkeypatch: pytest.MonkeyPatch) -> None:
        failed = Finding("machine", "attention", "fail", "ImportError: libcudart", "mend it")
        assert self.asked(monkeypatch, failed) == failed


def test_a_command_that_is_missing_or_fails_has_nothing_to_say() -> None:
    assert machine._asked("no-such-command-anywhere") == []
    assert machine._asked("false") == []
    assert machine._asked("echo", "one\n\n two") == ["one", "two"]


@pytest.mark.parametrize(
    ("text", "limit", "level"),
    [
        (f"{4 * _GIB}\n", 4 * _GIB, "warn"),
        (f"{12 * _GIB - 1}\n", 12 * _GIB - 1, "warn"),
        (f"{12 * _GIB}\n", 12 * _GIB, "ok"),
        ("max\n", None, "ok"),
    ],
)
def test_the_memory_of_a_container_is_what_counts(
    text: str, limit: int | None, level: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "memory.max").write_text(text)
    monkeypatch.setattr(machine, "CONTROL_GROUP", tmp_path)
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(total=64 * _GIB, available=32 * _GIB))
    assert machine._memory_of_group() == (limit or sys.maxsize)
    found = _by_subject()["memory"]
    assert found.level == level
    assert found.mend == ("" if level == "ok" else "a run of the tiny preset wants 12 GiB")
