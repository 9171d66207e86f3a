"""A second machine for tests, made of this one: namespaces of its own for network, host name and shared memory.

this machine ── 10.77.N.1 ══ virtual cable ══ 10.77.N.2 ── ray start --address=…, /dev/shm and Ray's folder its own
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tests.cluster.ending import end

_RAY = Path(sys.executable).parent / "ray"

_TOOLS = ("ip", "unshare", "nsenter")


def lacking() -> str:
    """Why no second machine can be made here; empty if one can."""
    if missing := [tool for tool in _TOOLS if shutil.which(tool) is None]:
        return f"{missing[0]} is not installed"
    tried = subprocess.run(["unshare", "-m", "-u", "-n", "true"], capture_output=True, text=True, check=False)
    return tried.stderr.strip()


class Cable:
    """Two ends of a virtual network cable; the first has its address on this machine."""

    def __init__(self) -> None:
        number = os.getpid() % 250 + 2
        self.ends = (f"azr{number}a", f"azr{number}b")
        self.addresses = (f"10.77.{number}.1", f"10.77.{number}.2")
        _run("ip", "link", "add", self.ends[0], "type", "veth", "peer", "name", self.ends[1])
        _run("ip", "addr", "add", f"{self.addresses[0]}/24", "dev", self.ends[0])
        _run("ip", "link", "set", self.ends[0], "up")

    def close(self) -> None:
        """Take it away; it is gone already when the other machine ended first."""
        subprocess.run(["ip", "link", "del", self.ends[0]], capture_output=True, check=False)


class SecondNode:
    """The other machine, joined to a cluster. `own` are folders that it does not share with this one."""

    def __init__(self, cable: Cable, gcs: str, environment: dict[str, str], own: list[Path]) -> None:
        hold = "hostname azr-second && mount -t tmpfs none /dev/shm && touch /dev/shm/ready && exec sleep infinity"
        self._holder = subprocess.Popen(["unshare", "-m", "-u", "-n", "sh", "-c", hold])
        self._inside = ("nsenter", "-t", str(self._holder.pid), "-m", "-u", "-n")
        self._wait_for("test", "-e", "/dev/shm/ready")
        _run("ip", "link", "set", cable.ends[1], "netns", str(self._holder.pid))
        self._do("ip", "link", "set", "lo", "up")
        self._do("ip", "addr", "add", f"{cable.addresses[1]}/24", "dev", cable.ends[1])
        self._do("ip", "link", "set", cable.ends[1], "up")
        for folder in own:
            folder.mkdir(parents=True, exist_ok=True)
            self._do("mount", "-t", "tmpfs", "none", str(folder))
        command = [
            *(str(_RAY), "start", "--block", "--disable-usage-stats", f"--address={gcs}"),
            *(f"--node-ip-address={cable.addresses[1]}", "--num-cpus=1", f"--object-store-memory={100 << 20}"),
            '--resources={"second": 1}',
        ]
        self.process = subprocess.Popen(
            [*self._inside, *command], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT
        )

    def close(self) -> None:
        """Everything in it ends, and with the last process its namespaces."""
        end(self.process)
        self._holder.kill()
        self._holder.wait(10)

    def _do(self, *words: str) -> None:
        _run(*self._inside, *words)

    def _wait_for(self, *words: str) -> None:
        deadline = time.monotonic() + 20
        while subprocess.run([*self._inside, *words], capture_output=True, check=False).returncode:
            if time.monotonic() > deadline:
                raise TimeoutError("the second machine's namespaces did not come up within 20 s")
            time.sleep(0.05)


def _run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True, timeout=30)
