"""The machine: cores, memory, disk, shared memory, accelerators, and what the kernel offers the sandbox."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil

from azr.doctor.finding import Finding, graded
from azr.doctor.packages import installed, installed_extra, torch_cuda
from azr.doctor.trials import Trial, run_trial
from sandbox_wasm.cores import available_cores

_GIB = 1 << 30

#: One core generates while the other learns; with fewer the two take turns.
MINIMUM_CORES = 2
#: What the tiny preset wants. Its processes hold 7.9 GiB together, a third of it Ray's own (measured by `azr bench
#: growth`); beside them stand the guest's compilation, the file cache, and the system itself.
MINIMUM_MEMORY = 12 * _GIB
#: A checkpoint of a 7B model with its optimiser is 84 GB; the tiny preset needs a few hundred MB.
COMFORTABLE_DISK = 10 * _GIB
MINIMUM_DISK = 1 * _GIB
#: Ray's object store and the weights handed to engines on one machine live in /dev/shm.
COMFORTABLE_SHARED_MEMORY = 2 * _GIB
#: Ray opens some thousand files and sockets on a many-core machine.
COMFORTABLE_FILES = 4096
#: Where this process's control group says what a container may use.
CONTROL_GROUP = Path("/sys/fs/cgroup")

_ASK_SECONDS = 20.0
_GROUP = "machine"

_SURVEY = Trial(
    _GROUP,
    "attention",
    """
from learner.attention.registry import choose, survey
said = "; ".join(f"{name} {reason or 'can run'}" for name, reason in survey().items())
print(f"auto takes {choose().name}; {said}")
""",
    120.0,
    "pip install flash-attn --no-build-isolation: packed sequences run faster with it",
)


def examine_machine() -> Iterator[Finding]:
    """Everything about the machine."""
    yield from _resources()
    yield from _accelerators()
    yield from _kernel()


def _resources() -> Iterator[Finding]:
    cores = available_cores()
    load = os.getloadavg()[0]
    yield graded(
        _GROUP,
        "cores",
        f"{cores} (load {load:.1f})",
        good=cores >= MINIMUM_CORES,
        mend="give the container two cores; with one, generating and learning take turns",
    )
    memory = min(psutil.virtual_memory().total, _memory_of_group())
    free = min(psutil.virtual_memory().available, memory)
    yield graded(
        _GROUP,
        "memory",
        f"{memory / _GIB:.1f} GiB, {free / _GIB:.1f} GiB free",
        good=memory >= MINIMUM_MEMORY,
        mend=f"a run of the tiny preset wants {MINIMUM_MEMORY // _GIB} GiB",
    )
    yield _space("disk", Path.cwd(), "free some space, or run elsewhere (run.folder=/big/disk)", COMFORTABLE_DISK)
    shared = Path("/dev/shm")
    if shared.is_dir():
        yield _space("/dev/shm", shared, "docker run --shm-size=8g, or remount it larger", COMFORTABLE_SHARED_MEMORY)
    else:
        yield Finding(
            _GROUP, "/dev/shm", "fail", "missing", "mount a tmpfs on /dev/shm: Ray's object store lives there"
        )
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    yield graded(
        _GROUP,
        "open files",
        "unlimited" if files == resource.RLIM_INFINITY else str(files),
        good=files == resource.RLIM_INFINITY or files >= COMFORTABLE_FILES,
        mend=f"raise the hard limit to {COMFORTABLE_FILES} (ulimit -Hn, or LimitNOFILE of the service)",
    )


def _space(subject: str, folder: Path, mend: str, comfortable: int) -> Finding:
    usage = shutil.disk_usage(folder)
    found = f"{usage.free / _GIB:.1f} of {usage.total / _GIB:.1f} GiB free ({folder})"
    return graded(
        _GROUP,
        subject,
        found,
        good=usage.free >= comfortable,
        otherwise="warn" if usage.free >= MINIMUM_DISK else "fail",
        mend=mend,
    )


def _memory_of_group() -> int:
    """The memory limit of this process's control group, which a container sets; huge when there is none."""
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        path = CONTROL_GROUP / name
        if path.is_file() and (text := path.read_text().strip()).isdigit():
            return int(text)
    return sys.maxsize


def _accelerators() -> Iterator[Finding]:
    extra, cuda = installed_extra(), torch_cuda()
    if installed("torch"):
        yield Finding(_GROUP, "torch build", "ok", f"CUDA {cuda}" if cuda else "CPU")
    devices = _asked("nvidia-smi", "--query-gpu=name,memory.total,driver_version,compute_cap", "--format=csv,noheader")
    for index, line in enumerate(devices):
        yield Finding(_GROUP, f"cuda:{index}", "ok", line)
    if not devices:
        yield graded(
            _GROUP,
            "cuda",
            "no device",
            good=extra != "gpu",
            otherwise="fail",
            mend="install the NVIDIA driver (nvidia-smi must list a device), or use the CPU extra",
        )
    elif extra != "gpu" or cuda is None:
        yield Finding(_GROUP, "cuda", "warn", "devices lie idle", "in a checkout: make setup EXTRA=gpu")
    yield _attention(on_gpu=bool(devices) and cuda is not None)


def _attention(*, on_gpu: bool) -> Finding:
    """Which attention back end the learner takes, and what each says of this machine.

    They are asked in a process of their own: it imports torch, and kernels that were built against another torch.
    """
    if not on_gpu:
        return Finding(_GROUP, "attention", "ok", "sdpa; all others need a CUDA device")
    found = run_trial(_SURVEY)
    if found.level == "ok" and not found.found.startswith("auto takes flash_attention"):
        return Finding(found.group, found.subject, "warn", found.found, _SURVEY.mend)
    return found


def _kernel() -> Iterator[Finding]:
    yield graded(
        "kernel",
        "system",
        f"{platform.system()} {platform.release()} {platform.machine()}",
        good=sys.platform == "linux",
        otherwise="fail",
        mend="azr runs on Linux",
    )
    actions = Path("/proc/sys/kernel/seccomp/actions_avail")
    filters = actions.is_file() and "errno" in actions.read_text()
    yield graded(
        "kernel",
        "seccomp filters",
        "yes" if filters else "no",
        good=filters,
        mend="without them the process back end is weaker; use a kernel with CONFIG_SECCOMP_FILTER",
    )
    modern = _release() >= (6, 7)
    yield graded(
        "kernel",
        "PAGEMAP_SCAN",
        "yes" if modern else f"no (Linux {platform.release()})",
        good=modern,
        mend="only bit-exact restore of instances needs it (Linux 6.7 or newer); brand-new instances do not",
    )
    namespaces = _user_namespaces()
    yield graded(
        "kernel",
        "user namespaces",
        "yes" if namespaces else "refused",
        good=namespaces,
        mend="sysctl kernel.unprivileged_userns_clone=1 lets the process back end drop the network entirely",
    )


def _release() -> tuple[int, ...]:
    parts = platform.release().split("-", maxsplit=1)[0].split(".")
    return tuple(int(part) for part in parts[:2] if part.isdigit())


def _user_namespaces() -> bool:
    """Whether a process may leave the machine's network; tried in a child, which is the only way to know."""
    clone_newuser, clone_newnet = 0x10000000, 0x40000000
    code = f"import ctypes, sys; sys.exit(ctypes.CDLL(None).unshare({clone_newuser | clone_newnet}) != 0)"
    try:
        child = subprocess.run([sys.executable, "-I", "-c", code], timeout=_ASK_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return False
    return child.returncode == 0


def _asked(*command: str) -> list[str]:
    """The lines a command prints; none if it is missing, fails or hangs."""
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=_ASK_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in answer.stdout.splitlines() if line.strip()]
