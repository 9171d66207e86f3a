"""The sandbox: its compiled guest, how far its workers are locked in on this kernel, and one program run in it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from azr.doctor.finding import Finding, graded
from azr.doctor.trials import Trial, run_trial
from sandbox_wasm import hardening
from sandbox_wasm.wasm.cache import CodeCache

_GROUP = "sandbox"

#: What `hardening.report` says of a measure that holds.
_HELD = ("on", "prevented")

#: A cold start compiles the guest, which takes ten seconds on two idle cores; the result is then cached.
PROGRAM = Trial(
    _GROUP,
    "wasm",
    """
import time
from sandbox_wasm.pool import open_sandbox
from sandbox_wasm.protocol import RunJob
began = time.monotonic()
pool = open_sandbox("wasm", workers=1)
[result] = pool.run_many([RunJob(program="def f(n): return n * 2", inputs=("21",))])
pool.close()
value = result.outcomes[0].value
assert value is not None and value.literal == "42", result.outcomes[0]
print(f"f(21) == {value.literal} in a pristine interpreter, {time.monotonic() - began:.1f} s with its worker's start")
""",
    240.0,
    "azr exec shows the error in full; if the compile cache is damaged, delete it",
)


def examine_sandbox() -> Iterator[Finding]:
    """Cache, confinement, and a program."""
    yield _cache(CodeCache())
    yield _confinement(hardening.report())
    yield run_trial(PROGRAM)


def _cache(cache: CodeCache) -> Finding:
    """Loading native code is trusting it, so who else may write there matters."""
    folder = cache.folder
    if not folder.is_dir():
        return Finding(_GROUP, "compile cache", "ok", f"empty, the first program waits for a compile ({folder})")
    status = folder.stat()
    compiled = sorted(folder.glob("*.cwasm"))
    mebibytes = sum(path.stat().st_size for path in compiled) / 2**20
    return graded(
        _GROUP,
        "compile cache",
        f"{len(compiled)} modules, {mebibytes:.0f} MiB ({folder})",
        good=status.st_uid == os.getuid() and not stat.S_IMODE(status.st_mode) & 0o022,
        otherwise="fail",
        mend=f"others may write there; chmod 700 {folder}, or set AZR_CACHE to a folder of your own",
    )


def _confinement(report: dict[str, str]) -> Finding:
    """WebAssembly is the wall; this is what stands behind it."""
    open_ways = [f"{measure} {how}" for measure, how in report.items() if how not in _HELD]
    return graded(
        _GROUP,
        "second wall",
        "; ".join(open_ways) or f"all {len(report)} measures hold around each worker",
        good=not open_ways,
        mend="the sandbox works without, WebAssembly being the first wall; a kernel with seccomp filters has both",
    )
