"""Trials: things that only trying can tell, each in a process of its own with a deadline.

A broken engine hangs or dies on import; the doctor must survive both and name what it waited for.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import NamedTuple

from azr.doctor.finding import Finding
from azr.doctor.packages import installed, installed_extra


def rebuilding(extra: str | None) -> str:
    """The command that makes the environment with this extra anew; without its name make takes the CPU's."""
    return "make clean setup EXTRA=gpu" if extra == "gpu" else "make clean setup"


_REBUILD = rebuilding(installed_extra())


class Trial(NamedTuple):
    """Something to try in a fresh Python."""

    group: str
    subject: str
    code: str
    """Prints one line that tells what was found."""
    seconds: float
    """Deadline."""
    mend: str


_TORCH = Trial(
    "deep",
    "torch",
    """
import torch
ones = torch.ones(8, 8)
assert float((ones @ ones).sum()) == 512.0
if torch.cuda.is_available():
    on_device = ones.cuda()
    assert float((on_device @ on_device).sum()) == 512.0
print(f"multiplies on CPU and {torch.cuda.device_count()} CUDA devices")
""",
    120.0,
    f"reinstall torch: {_REBUILD}",
)

_TRANSFORMERS = Trial(
    "deep",
    "transformers",
    """
from transformers import Qwen2Config, Qwen2ForCausalLM
shape = dict(hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1, num_key_value_heads=1)
model = Qwen2ForCausalLM(Qwen2Config(vocab_size=8, **shape))
print(f"builds a Qwen2 of {model.num_parameters()} parameters")
""",
    180.0,
    "CUDA builds of torchvision break it beside a CPU torch: pip uninstall --yes torchvision torchaudio torchcodec",
)

_VLLM = Trial(
    "deep",
    "vllm",
    """
from vllm import AsyncEngineArgs
from vllm.platforms import current_platform
print(f"imports, platform {current_platform.device_type}")
""",
    300.0,
    f"reinstall the engine: {_REBUILD}",
)

_RAY = Trial(
    "deep",
    "ray",
    """
import os
os.environ.pop("RAY_ADDRESS", None)  # of a cluster; what is tried is this machine
import ray
from azr.run.local_ray import on_this_machine
ray.init(
    num_cpus=1, include_dashboard=False, logging_level="error", log_to_driver=False, runtime_env=on_this_machine({})
)
try:
    assert ray.get(ray.remote(lambda: 42).remote(), timeout=60) == 42
finally:
    ray.shutdown()
print("starts, runs a task, stops")
""",
    180.0,
    "see session_latest/logs in Ray's temporary folder; a full disk or /dev/shm is the usual cause",
)

_MLFLOW = Trial("deep", "mlflow", "import mlflow; print('imports')", 180.0, "pip install --force-reinstall mlflow")

_DEEP = (_TORCH, _TRANSFORMERS, _VLLM, _RAY, _MLFLOW)


def examine_deep() -> Iterator[Finding]:
    """Import and use the heavy packages that are installed."""
    present = {"vllm": installed_extra() is not None}
    return (run_trial(trial) for trial in _DEEP if present.get(trial.subject, installed(trial.subject) is not None))


def run_trial(trial: Trial) -> Finding:
    """Try it; whatever it does, this answers within its deadline."""
    began = time.monotonic()
    child = subprocess.Popen(
        [sys.executable, "-c", trial.code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        # What is tried reports to nobody.
        env={"MLFLOW_DISABLE_TELEMETRY": "true", **os.environ, "VLLM_LOGGING_LEVEL": "ERROR", "TQDM_DISABLE": "1"},
        process_group=0,
    )
    try:
        out, err = child.communicate(timeout=trial.seconds)
    except subprocess.TimeoutExpired:
        return Finding(trial.group, trial.subject, "fail", f"no answer within {trial.seconds:.0f} s", trial.mend)
    finally:
        _end_group(child)
    took = time.monotonic() - began
    if child.returncode != 0:
        last = (err.strip().splitlines() or [f"exit status {child.returncode}"])[-1]
        return Finding(trial.group, trial.subject, "fail", last, trial.mend)
    said = (out.strip().splitlines() or [""])[-1]
    return Finding(trial.group, trial.subject, "ok", f"{said} ({took:.1f} s)")


def _end_group(child: subprocess.Popen[str]) -> None:
    """End the trial and whatever it started; it leads a process group of its own."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait(timeout=10)
    for stream in (child.stdout, child.stderr):
        if stream is not None:
            stream.close()
