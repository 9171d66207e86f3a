"""A Ray cluster of one node as an administrator starts it, and a client that submits jobs to it from elsewhere.

wheel ──pip──► site ─┬─ node:   ray start --head --block, its own folder, ports and token
                     └─ client: ray job submit, in another folder
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import psutil

from tests.cluster.ending import end

_ROOT = Path(__file__).parents[2]
_BIN = Path(sys.executable).parent

#: What a node says whose dashboard answers already, but not its agent.
_NO_AGENT = "No available agent to submit job"

#: Ray's head takes ten seconds on a quiet machine; a job's supervisor another six.
READY_SECONDS = 240.0
JOB_SECONDS = 240.0

#: Of which Ray keeps one in a cluster, from the first job with a learner on.
_OF_RAY = "ray::_AutoscalingCoordinatorActor"

#: Ray hands its workers ports between 10002 and 19999; its own must lie elsewhere.
_LOWEST_PORT = 20_000


def install_wheel(folder: Path) -> Path:
    """Build the wheel of this checkout and install it into a folder of its own, commands included."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=_ROOT, check=True, capture_output=True, timeout=240)
    [wheel] = folder.glob("azr-*.whl")
    site = folder / "site"
    install = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--quiet", "--target", str(site)]
    subprocess.run([*install, str(wheel)], check=True, capture_output=True, timeout=240)
    return site


class Head:
    """The node. Everything of it lies in one short folder; it ends with the process that holds it."""

    def __init__(self, site: Path, *, node_address: str = "") -> None:
        # Short, because the paths of Ray's sockets must fit into 107 bytes.
        self.folder = Path(tempfile.mkdtemp(prefix="azr-head-", dir="/tmp"))
        self.address = f"http://127.0.0.1:{_free_port()}"
        token = self.folder / "token"
        token.write_text(secrets.token_hex(32))
        token.chmod(0o600)
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(site),
            "PATH": f"{site / 'bin'}:{_BIN}:{os.environ['PATH']}",
            # Node and client must agree on the token; left alone, Ray looks for one in the home folder.
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(token),
            # How long a job that is told to stop may take to leave in order.
            "RAY_JOB_STOP_WAIT_TIME_S": "60",
        }
        port = _free_port()
        self.gcs = f"{node_address or '127.0.0.1'}:{port}"
        self._log = (self.folder / "head.log").open("wb")
        command = [
            *(str(_BIN / "ray"), "start", "--head", "--block", "--disable-usage-stats", "--include-dashboard=true"),
            *("--num-cpus=2", f"--object-store-memory={100 << 20}", f"--temp-dir={self.folder / 'ray'}"),
            *("--dashboard-host=127.0.0.1", f"--dashboard-port={self.address.rpartition(':')[2]}"),
            *([f"--node-ip-address={node_address}"] if node_address else []),
            *(f"--port={port}", f"--ray-client-server-port={_free_port()}"),
        ]
        self.process = subprocess.Popen(
            command, env=self.environment, cwd=self.folder, stdout=self._log, stderr=subprocess.STDOUT
        )

    def wait(self) -> None:
        """Until jobs can be submitted."""
        request = urllib.request.Request(f"{self.address}/api/version")
        request.add_header("Authorization", f"Bearer {(self.folder / 'token').read_text()}")
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"ray start ended: {(self.folder / 'head.log').read_text()[-2000:]}")
            try:
                with urllib.request.urlopen(request, timeout=5):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.3)
        raise TimeoutError(f"the head of the cluster was not ready within {READY_SECONDS:g} s")

    def ray(
        self, *words: str, cwd: Path, seconds: float = JOB_SECONDS, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """`ray job …` of a client that stands in `cwd`; asked again while the node's agent for jobs still starts."""
        command = [str(_BIN / "ray"), "job", words[0], "--address", self.address, *words[1:]]
        deadline = time.monotonic() + READY_SECONDS
        while True:
            done = subprocess.run(
                command,
                cwd=cwd,
                env={**self.environment, **environment},
                capture_output=True,
                text=True,
                timeout=seconds,
                check=False,
            )
            if _NO_AGENT not in done.stdout + done.stderr or time.monotonic() > deadline:
                return done
            time.sleep(1.0)

    def close(self) -> None:
        """End the node and remove its folder."""
        end(self.process)
        self._log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def processes_of_jobs(self, mark: str) -> list[str]:
        """Command lines of what jobs run here: processes with this text in their environment, and sandbox workers.

        The workers keep no environment; the job's working folder, inside this node's, stands in their command line.
        What Ray keeps for all jobs to come bears the mark of the first, and is no job's.
        """
        found = []
        for process in psutil.process_iter():
            try:
                line = " ".join(process.cmdline())
                worker = "sandbox_wasm.worker" in line and str(self.folder) in line
                marked = process.pid != os.getpid() and mark in process.environ().values() and _OF_RAY not in line
                if worker or marked:
                    found.append(f"{process.pid}: {line}")
            except (psutil.AccessDenied, psutil.NoSuchProcess, psutil.ZombieProcess):
                continue
        return found


def until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait for a condition, and say what was waited for when it does not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not happen within {seconds:g} s")
        time.sleep(0.2)


def _free_port() -> int:
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port >= _LOWEST_PORT:
            return port
