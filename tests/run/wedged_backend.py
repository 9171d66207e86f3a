"""A sandbox back end that works for so many jobs, then never answers again: what a wedged machine looks like."""

from __future__ import annotations

import time

from sandbox_wasm.protocol import Job, JobResult
from sandbox_wasm.wasm.backend import Instances, WasmBackend

#: What a distribution would announce of it.
ENTRIES = {"azr.sandboxes": {"wedged": f"{__name__}:WedgedBackend"}}


class WedgedBackend(WasmBackend):
    """WebAssembly, until `after` jobs are answered."""

    name = "wedged"

    def __init__(self, after: str = "0", instances: Instances = "fresh") -> None:
        super().__init__(instances=instances)
        self._after, self._left = int(after), 1 << 30

    def prepare(self) -> None:
        """Be ready like any other."""
        super().prepare()
        self._left = self._after

    def run(self, job: Job) -> JobResult:
        """Answer, or do not."""
        while self._left <= 0:
            time.sleep(3600)
        self._left -= 1
        return super().run(job)
