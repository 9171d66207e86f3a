"""What all tests share: a sandbox to run hostile programs in, and the rule that no test leaves a process behind."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import hypothesis
import psutil
import pytest

from sandbox_wasm.protocol import Sandbox

# MLflow asks for it when it is imported, which some tests do themselves.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

# The clock judges no property: on a busy machine anything may take a second once. A profile loaded before stays.
if hypothesis.settings.get_current_profile_name() == "default":
    hypothesis.settings.register_profile("azr", deadline=None)
    hypothesis.settings.load_profile("azr")

#: Children that were told to stop may take this long to be gone before the session calls them left behind.
GRACE_SECONDS = 5.0

#: Helper that Python's multiprocessing keeps for its own use until the interpreter exits.
_OWN_HELPERS = ("multiprocessing.resource_tracker", "multiprocessing.forkserver")


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """A pool of two WebAssembly workers, opened once and shared by all tests of a session."""
    from sandbox_wasm.pool import open_sandbox

    pool = open_sandbox("wasm", workers=2)
    try:
        yield pool
    finally:
        pool.close()


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail the session if a test left a process running, and name the process."""
    left = _left_behind(os.getpid(), GRACE_SECONDS)
    if left:
        reporter = session.config.pluginmanager.get_plugin("terminalreporter")
        message = "processes left behind by the tests:\n  " + "\n  ".join(left)
        if reporter is not None:
            reporter.write_line(message, red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED if exitstatus == 0 else exitstatus


def _left_behind(parent: int, grace: float) -> list[str]:
    """Command lines of the living descendants of a process, after giving them some time to go."""
    deadline = time.monotonic() + grace
    while True:
        lines = [line for child in psutil.Process(parent).children(recursive=True) if (line := _command_of(child))]
        if not lines or time.monotonic() > deadline:
            return lines
        time.sleep(0.05)


def _command_of(process: psutil.Process) -> str:
    """What the process runs; nothing if it is gone, a zombie, or one of Python's own helpers."""
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return ""
        command = " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""
    return "" if any(helper in command for helper in _OWN_HELPERS) else f"{process.pid}: {command}"
