"""Every way in which a child can end, what it cannot reach from inside, and that nothing of it is left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgspec
import psutil
import pytest

from sandbox_wasm import envelope
from sandbox_wasm.pool import SandboxClosedError, open_sandbox
from sandbox_wasm.process import conversation
from sandbox_wasm.process.backend import PREPARED, ProcessBackend
from sandbox_wasm.process.conversation import ANSWERED, FILTER, Task
from sandbox_wasm.process.zygote import _waits_for_nothing
from sandbox_wasm.protocol import (
    FUEL_PER_SECOND,
    Backend,
    InspectJob,
    InspectResult,
    Limits,
    Outcome,
    RunJob,
    RunResult,
)
from tests.attacks.judge import LANDLOCK

FINE = "def f(a): return a + 1"

#: A fifth of a second of CPU; the wall clock stands far behind it.
TIGHT = Limits(fuel=FUEL_PER_SECOND // 5, wall_seconds=20.0)


def run(backend: ProcessBackend, program: str, *inputs: str, limits: Limits = TIGHT, snapshot: int = 0) -> Outcome:
    result = backend.run(RunJob(program=program, inputs=inputs or ("1",), limits=limits, snapshot=snapshot))
    assert isinstance(result, RunResult)
    assert len(result.outcomes) == max(1, len(inputs))
    return result.outcomes[0]


def still_works(backend: ProcessBackend) -> bool:
    outcome = run(backend, FINE)
    return outcome.value is not None and outcome.value.literal == "2"


def newest() -> int:
    """The descendant that was started last. Numbers do not tell: they begin again at the system's highest."""
    family = psutil.Process().children(recursive=True)
    return int(max(family, key=lambda process: (process.create_time(), process.pid)).pid)


def descendants() -> set[int]:
    return {process.pid for process in psutil.Process().children(recursive=True)}


def zombies() -> set[int]:
    return {
        process.pid for process in psutil.Process().children(recursive=True) if process.status() == psutil.STATUS_ZOMBIE
    }


def test_it_is_a_back_end_of_the_protocol(backend: ProcessBackend) -> None:
    honours: Backend = backend
    assert honours.name == "process"


@pytest.mark.parametrize(
    ("program", "status", "words"),
    [
        ("def f(a):\n    while True: pass", "timeout", "CPU time used up"),
        (
            "def f(a):\n while True:\n  try:\n   while True: pass\n  except BaseException: pass",
            "timeout",
            "CPU time used up",
        ),
        ("def f(a): return sum(range(10**12))", "timeout", "CPU time used up"),
        ("import re\ndef f(a): return re.match('(a+)+$', 'a' * 60 + 'b')", "timeout", "CPU time used up"),
        ("def f(a): return len(str(7 ** 10**7 % 10**10**7))", "timeout", "CPU time used up"),
        ("while True: pass", "timeout", "CPU time used up"),
        ("import os\ndef f(a): os._exit(3)", "error", "ProcessExit: left with 3"),
        ("import os\ndef f(a): os._exit(0)", "error", "ProcessExit: left with 0"),
        ("import os\nos._exit(0)", "error", "ProcessExit: left with 0"),
        ("import os\ndef f(a): os.abort()", "error", "ProcessExit: killed by SIG"),
        ("import os\ndef f(a): os.kill(os.getpid(), 9)", "error", "PermissionError: "),
        ("import os, signal\ndef f(a): os.kill(os.getpid(), signal.SIGSTOP)", "error", "PermissionError: "),
        ("import os, signal\ndef f(a): signal.raise_signal(signal.SIGTERM)", "error", "PermissionError: "),
        (
            "import signal\ndef f(a):\n signal.setitimer(0, 0.1)\n signal.pause()",
            "error",
            "ProcessExit: killed by SIGA",
        ),
        ("import ctypes\ndef f(a): ctypes.string_at(0)", "error", "ProcessExit: killed by SIGSEGV"),
        ("import os\ndef f(a): os.closerange(0, 99)", "error", "ProcessExit: "),
        (
            "import os, signal\ndef f(a):\n    signal.SIGKILL = 0\n    os.closerange(0, 99)",
            "error",
            "ProcessExit: ",
        ),
        (
            "import os, time\ndef f(a):\n    os.closerange(0, 99)\n    while True: pass",
            "error",
            "ProcessExit: closed its pipe before it answered",
        ),
        ("def f(a):\n    x = []\n    while True: x.append(bytes(10**7))", "memory", "MemoryError"),
        ("def f(a): return bytearray(10**12)", "memory", "MemoryError"),
    ],
    ids=lambda value: "",
)
def test_a_program_that_does_not_end_well_ends_alone(
    backend: ProcessBackend, program: str, status: str, words: str
) -> None:
    limits = msgspec.structs.replace(TIGHT, memory_bytes=64 << 20)
    outcome = run(backend, program, limits=limits)
    assert (outcome.status, words in outcome.error) == (status, True), outcome
    assert still_works(backend)


def test_broken_bytecode_costs_its_own_child_only(backend: ProcessBackend) -> None:
    program = "def g(): pass\ng.__code__ = g.__code__.replace(co_code=bytes([100, 255] * 40))\ndef f(a): return g()"
    assert run(backend, program).status in ("error", "timeout", "ok", "opaque", "memory")
    assert still_works(backend)


@pytest.mark.parametrize(
    "program",
    [
        "import signal\ndef f(a): signal.pause()",
        "import queue\ndef f(a): return queue.Queue().get()",
        "import threading\ndef f(a):\n    lock = threading.Lock()\n    return lock.acquire() and lock.acquire()",
        "import threading\ndef f(a):\n    while True: threading.Event().wait(0.01)",
        "import queue\ndef f(a): return sum(range(5 * 10**6)) and queue.Queue().get()",
    ],
)
def test_waiting_for_what_nobody_can_give_is_a_timeout_and_asked_no_more(backend: ProcessBackend, program: str) -> None:
    outcome = run(backend, program, limits=Limits(wall_seconds=1.0))
    assert (outcome.status, outcome.error) == ("timeout", "waits for what nobody will give it")
    assert still_works(backend)


def test_a_child_that_wants_to_run_at_the_end_of_its_wall_time_was_kept_by_the_machine(backend: ProcessBackend) -> None:
    outcome = run(backend, "def f(a):\n    while True: pass", limits=Limits(wall_seconds=0.3))
    assert (outcome.status, outcome.error) == ("retry", "wall time used up")


def test_only_a_child_that_is_seen_to_sleep_and_has_written_nothing_waits_for_nothing() -> None:
    asleep = subprocess.Popen(["sleep", "99"])
    nothing, theirs = os.pipe()
    try:
        deadline = time.monotonic() + 20
        while psutil.Process(asleep.pid).status() != psutil.STATUS_SLEEPING and time.monotonic() < deadline:
            time.sleep(0.01)
        assert _waits_for_nothing(asleep.pid, nothing)
        assert not _waits_for_nothing(0, nothing), "hidden, or there is no /proc"
        assert not _waits_for_nothing(os.getpid(), nothing), "runs"
        os.write(theirs, b"a word")
        assert not _waits_for_nothing(asleep.pid, nothing), "writes, and waits to be read"
    finally:
        asleep.kill()
        asleep.wait()
        os.close(nothing)
        os.close(theirs)


def test_a_busy_loop_under_equal_limits_is_a_timeout_or_the_machine_was_loaded(backend: ProcessBackend) -> None:
    outcome = run(backend, "def f(a):\n    while True: pass", limits=Limits.of_seconds(0.3))
    busy = outcome.fuel >= 0.8 * 0.3 * FUEL_PER_SECOND
    assert outcome.status == ("timeout" if busy else "retry")


def test_one_bad_input_does_not_lose_the_others(backend: ProcessBackend) -> None:
    program = (
        "import os\ndef f(a):\n    while a == 1: pass\n    if a == 2: os._exit(1)\n    return [] if a == 3 else 1 / a"
    )
    result = backend.run(RunJob(program=program, inputs=("0", "1", "2", "3", "not data", "4"), limits=TIGHT))
    assert isinstance(result, RunResult)
    assert [outcome.status for outcome in result.outcomes] == ["error", "timeout", "error", "ok", "refused", "ok"]


def test_each_input_meets_the_program_in_a_fresh_state(backend: ProcessBackend) -> None:
    program = """
import builtins, random, sys
calls = []
def f(a):
    calls.append(a)
    f.count = getattr(f, "count", 0) + 1
    builtins.seen = getattr(builtins, "seen", 0) + 1
    sys.modules.setdefault("left_behind", []).append(a)
    return len(calls), f.count, builtins.seen, sys.modules["left_behind"], random.random()
"""
    result = backend.run(RunJob(program=program, inputs=("7", "7", "7")))
    assert isinstance(result, RunResult)
    assert len({outcome.value.literal for outcome in result.outcomes if outcome.value}) == 1


def test_a_child_knows_its_own_input_and_no_other(backend: ProcessBackend) -> None:
    program = """
import gc, sys
def f(a):
    texts = [x for o in gc.get_objects() if type(o) is dict for x in o.values() if type(x) in (str, bytes)]
    frame = sys._getframe()
    while frame:
        texts += [x for x in frame.f_locals.values() if type(x) in (str, bytes)]
        frame = frame.f_back
    found = [x for x in texts if ("se" + "cret") in str(x) and "def f" not in str(x)]
    return "secret-two" in str(found)
"""
    result = backend.run(RunJob(program=program, inputs=("'one'", "'secret-two'", "'secret-two'")))
    assert isinstance(result, RunResult)
    assert result.outcomes[0].value is not None
    assert result.outcomes[0].value.literal == "False"


READING = (
    "open('/etc/passwd').read()",
    "open('/proc/self/environ').read()",
    "open(f'/proc/{os.getppid()}/mem', 'rb')",
    "open('$FOLDER/secret').read()",
    "os.listdir('$FOLDER')",
    "os.listdir('/')",
)

ACTING = (
    "open('$FOLDER/made', 'w')",
    "open('/dev/shm/made', 'w')",
    "os.open('$FOLDER/secret', os.O_RDWR)",
    "os.open('/', os.O_TMPFILE | os.O_RDWR)",
    "os.mkdir('$FOLDER/made')",
    "os.remove('$FOLDER/secret')",
    "os.rename('$FOLDER/secret', '$FOLDER/made')",
    "os.chmod('$FOLDER/secret', 0o777)",
    "os.symlink('/', '$FOLDER/made')",
    "os.truncate('$FOLDER/secret', 0)",
    "os.mkfifo('$FOLDER/made')",
    "os.fork()",
    "os.posix_spawn('/bin/true', ['true'], {})",
    "os.execv('/bin/true', ['true'])",
    "subprocess.run(['true'])",
    "threading.Thread(target=print).start()",
    "socket.socket()",
    "socket.socketpair()",
    "socket.create_connection(('127.0.0.1', $PORT))",
    "os.kill(os.getppid(), 9)",
    "os.kill(-1, 9)",
    "os.kill(1, 0)",
    "os.killpg(0, 9)",
    "os.setuid(1)",
    "os.setsid()",
    "os.nice(-5)",
    "os.sched_setaffinity(0, {0})",
    "os.memfd_create('x')",
    "os.chroot('/')",
    "os.chdir('/')",
    "os.pipe()",
    "resource.setrlimit(resource.RLIMIT_AS, (-1, -1))",
    "resource.prlimit(os.getppid(), resource.RLIMIT_CPU, (1, 1))",
    "fcntl.fcntl(0, fcntl.F_SETOWN, os.getppid())",
    "ctypes.CDLL(None, use_errno=True)['ptrace'](16, os.getppid(), 0, 0) == 0 or denied()",
    "ctypes.CDLL(None, use_errno=True)['unshare'](0x10000000) == 0 or denied()",
    "ctypes.CDLL(None, use_errno=True)['mount'](0, b'/', 0, 32, 0) == 0 or denied()",
    "ctypes.CDLL(None, use_errno=True)['process_vm_readv'](os.getppid(), 0, 0, 0, 0, 0) == 0 or denied()",
    "ctypes.CDLL(None, use_errno=True)['prctl'](38, 0, 0, 0, 0) == 0 or denied()",
)


@pytest.mark.skipif(not LANDLOCK, reason="the kernel has no Landlock")
@pytest.mark.parametrize("action", READING)
def test_files_that_are_not_pythons_cannot_be_read(backend: ProcessBackend, tmp_path: Path, action: str) -> None:
    reaches_nothing(backend, tmp_path, action)


@pytest.mark.parametrize("action", ACTING)
def test_what_is_outside_cannot_be_reached(backend: ProcessBackend, tmp_path: Path, action: str) -> None:
    reaches_nothing(backend, tmp_path, action)


def reaches_nothing(backend: ProcessBackend, tmp_path: Path, action: str) -> None:
    (tmp_path / "secret").write_text("secret")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        action = action.replace("$FOLDER", str(tmp_path)).replace("$PORT", str(listener.getsockname()[1]))
        program = (
            "import ctypes, fcntl, os, resource, socket, subprocess, threading\n"
            "def denied(): raise PermissionError\n"
            f"def f(a): return repr({action})"
        )
        outcome = run(backend, program, limits=Limits())
    assert outcome.status == "error", outcome
    kinds = (
        "PermissionError",
        "FileNotFoundError",
        "RuntimeError: can't start new thread",
        "ValueError: not allowed",
        "OSError",
    )
    assert outcome.error.startswith(kinds), outcome
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]
    assert (tmp_path / "secret").read_text() == "secret"


def test_the_environment_holds_nothing_of_the_callers(backend: ProcessBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZR_SECRET", "secret")
    own = ProcessBackend()
    try:
        outcome = run(own, "import os\ndef f(a): return sorted(os.environ)")
    finally:
        own.close()
    assert outcome.value is not None
    assert "AZR" not in outcome.value.literal
    assert "PYTHONHASHSEED" in outcome.value.literal


def test_the_librarys_lazy_imports_and_installed_packages_still_work(backend: ProcessBackend) -> None:
    program = "import numpy, email.message, xml.dom.minidom\ndef f(a): return "
    plain = run(backend, program + "int(numpy.arange(a).sum())", "4", limits=Limits())
    assert plain.value is not None
    assert plain.value.literal == "6"
    theirs = run(backend, program + "numpy.arange(a).sum()", "4", limits=Limits())
    assert (theirs.status, theirs.error) == ("opaque", "no literal form: int64")


def test_fork_bombs_leftover_children_and_zombies_leave_nothing(backend: ProcessBackend) -> None:
    still_works(backend)
    before, zombies_before = descendants(), zombies()
    for program in (
        "import os\ndef f(a):\n    while True:\n        try: os.fork()\n        except OSError: pass",
        "import os, time\ndef f(a):\n    os.fork() or os.setsid() or time.sleep(99)\n    return a",
        "import subprocess\ndef f(a): subprocess.Popen(['sleep', '99'])",
        "import os\ndef f(a): os._exit(0)",
        "def f(a):\n    while True: pass",
    ):
        run(backend, program)
    assert descendants() == before, "the zygote is all there is"
    assert zombies() == zombies_before


def test_descriptors_do_not_pile_up(backend: ProcessBackend) -> None:
    still_works(backend)
    zygote = psutil.Process(newest())
    before = (psutil.Process().num_fds(), zygote.num_fds())
    for program in ("def f(a): return a", "import os\ndef f(a): os._exit(1)", "def f(a):\n    while True: pass") * 3:
        run(backend, program)
    assert (psutil.Process().num_fds(), zygote.num_fds()) == before


def test_a_zygote_that_is_killed_is_replaced_and_its_job_says_so() -> None:
    own = ProcessBackend()
    try:
        assert still_works(own)
        os.kill(newest(), signal.SIGKILL)
        outcome = run(own, FINE)
        assert outcome.status == "crashed"
        assert "died" in outcome.error
        assert still_works(own)
    finally:
        own.close()


def test_a_child_that_somebody_else_kills_is_nobodys_error_and_its_zygote_goes_on() -> None:
    own = ProcessBackend()
    try:
        assert still_works(own)
        zygote = psutil.Process(newest())

        def kill() -> None:
            while not zygote.children():
                time.sleep(0.01)
            zygote.children()[0].kill()

        killer = threading.Thread(target=kill)
        killer.start()
        outcome = run(own, "def f(a):\n    while True: pass", limits=Limits.of_seconds(20.0))
        killer.join(20)
        assert (outcome.status, outcome.error) == ("crashed", "killed by SIGKILL before it answered")
        assert still_works(own)
        assert newest() == zygote.pid
    finally:
        own.close()


def test_a_zygote_that_gets_no_time_to_answer_is_the_machines_doing() -> None:
    own = ProcessBackend()
    try:
        assert still_works(own)
        os.kill(newest(), signal.SIGSTOP)
        outcome = run(own, FINE, limits=Limits(wall_seconds=0.1))
        assert outcome.status == "retry"
        assert "does not answer" in outcome.error
        assert still_works(own)
    finally:
        own.close()


def test_zygotes_are_started_before_the_first_job() -> None:
    own = ProcessBackend()
    before = descendants()
    try:
        own.prepare()
        ready = descendants() - before
        assert len(ready) == len(PREPARED)
        assert all(run(own, FINE, snapshot=snapshot).status == "ok" for snapshot in PREPARED)
        assert descendants() - before == ready
    finally:
        own.close()


def test_it_says_which_of_its_walls_hold_on_this_kernel(backend: ProcessBackend) -> None:
    assert still_works(backend)
    assert set(backend.measures.values()) <= {"on", "refused"}
    assert backend.measures["system-call filter"] == backend.measures["no new privileges"] == "on"
    assert (backend.measures["no files but Python's"] == "on") == LANDLOCK


def test_without_a_system_call_filter_it_runs_nothing_unless_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel without seccomp cannot be had here; a zygote that reports one stands in."""
    unpacked = conversation.unpack_measures
    monkeypatch.setattr(conversation, "unpack_measures", lambda body: unpacked(body) | {FILTER: False})
    before = descendants()
    with pytest.raises(RuntimeError, match="allow_unconfined=true"):
        ProcessBackend().prepare()
    assert descendants() == before
    own = ProcessBackend(allow_unconfined="True")
    try:
        assert still_works(own)
        assert own.measures[FILTER] == "refused"
    finally:
        own.close()
    with pytest.raises(ValueError, match="must be true or false, not 'maybe'"):
        ProcessBackend(allow_unconfined="maybe")


@pytest.mark.parametrize("how", ["closed", "workers killed"])
def test_a_pool_leaves_no_zygote_and_no_child(how: str) -> None:
    with open_sandbox("process", 1) as pool:
        (worker,) = pool.worker_ids()
        waiting = RunJob(program="import signal\ndef f(a): signal.pause()", inputs=("1",))
        results = pool.run_many([msgspec.structs.replace(waiting, limits=Limits(wall_seconds=600))])

        def read() -> None:
            with contextlib.suppress(SandboxClosedError):
                list(results)

        threading.Thread(target=read).start()
        family = psutil.Process(worker).children(recursive=True)
        deadline = time.monotonic() + 60
        while len(family) < len(PREPARED) + 1 and time.monotonic() < deadline:
            time.sleep(0.02)
            family = psutil.Process(worker).children(recursive=True)
        assert len(family) == len(PREPARED) + 1, "the zygotes and a child"
        assert pool.hardening()[FILTER] == "on"
        if how == "workers killed":
            os.kill(worker, signal.SIGKILL)
            assert psutil.wait_procs(family, timeout=30)[1] == []
    assert psutil.wait_procs(family, timeout=30)[1] == []


def test_closing_leaves_no_process() -> None:
    before = descendants()
    own = ProcessBackend()
    for snapshot in range(3):
        run(own, FINE, snapshot=snapshot)
    assert len(descendants() - before) == 3
    own.close()
    assert descendants() == before
    own.close()


def test_when_the_owner_is_killed_zygote_and_child_go_too() -> None:
    code = (
        "import os, sys\nfrom sandbox_wasm.process.backend import ProcessBackend\n"
        "from sandbox_wasm.protocol import Limits, RunJob\n"
        "b = ProcessBackend()\nb.run(RunJob(program='def f(a): return a', inputs=('1',)))\n"
        "print('ready', flush=True)\n"
        "for_ever = 'import signal\\ndef f(a): signal.pause()'\n"
        "b.run(RunJob(program=for_ever, inputs=('1',), limits=Limits(wall_seconds=600)))"
    )
    owner = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    try:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"ready\n"
        deadline = time.monotonic() + 20
        while len(family := psutil.Process(owner.pid).children(recursive=True)) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert len(family) == 2, "zygote and child"
    finally:
        owner.kill()
        owner.wait()
        owner.stdout.close()  # type: ignore[union-attr]
    _, alive = psutil.wait_procs(family, timeout=10)
    assert not alive


def test_texts_with_lone_surrogates_reach_the_guest(backend: ProcessBackend) -> None:
    inspected = backend.run(InspectJob(program="def f(a): return '\ud800'"))
    assert isinstance(inspected, InspectResult)
    assert inspected.reason == "surrogate"
    assert run(backend, "def f(a): return '\ud800'").status == "error"
    assert run(backend, FINE, "'\ud800'").error == "surrogate"


def test_a_forged_answer_is_no_more_than_this_programs_own_word(backend: ProcessBackend) -> None:
    """A child may write its answer itself; it must still be one outcome of the right kind, or it has left."""
    for forged in (
        b'{"type":"run","outcomes":[]}\n',
        b'{"type":"literal","outcomes":[]}\n',
        b'{"type":"inspect","facts":null}\n',
        b'{"type":"run","outcomes":[{"status":"well"}]}\n',
        b"not JSON\n",
        b"\n",
        b"x" * (8 << 20),
    ):
        write = f"os.write(n, {forged[:200]!r} * {max(1, len(forged) // 200)})"
        everywhere = f"    for n in range(3, 32):\n        try: {write}\n        except OSError: pass\n"
        program = f"import os\ndef f(a):\n{everywhere}    os._exit(0)"
        outcome = run(backend, program)
        assert (outcome.status, outcome.error[:12]) == ("error", "ProcessExit:"), forged[:40]


def test_inputs_can_share_one_compilation(backend: ProcessBackend) -> None:
    """What back ends with dear compilation use; a fork costs more than it here."""
    zygote = next(iter(backend._zygotes.values()), None) if still_works(backend) else None
    assert zygote is not None

    def ask(request: bytes) -> bytes:
        ending = zygote.ask(Task(5.0, 20.0, 1 << 28, 1 << 20, request))
        assert ending.how == ANSWERED
        return ending.payload

    code = envelope.decode_code(ask(envelope.encode_compile("def f(a): return a + 1")))
    for text, literal in (("1", "2"), ("0.5", "1.5")):
        result = envelope.decode(ask(envelope.encode(RunJob(program="", inputs=(text,)), code)))
        assert isinstance(result, RunResult)
        assert result.outcomes[0].value is not None
        assert result.outcomes[0].value.literal == literal
    for broken in ("def f(a) return a", "\0", "\ud800", "(" * 9_000):
        assert envelope.decode_code(ask(envelope.encode_compile(broken))) == ""


def test_a_child_whose_zygote_died_before_the_kernel_was_asked_runs_nothing() -> None:
    """Nobody would be left to end it."""
    code = (
        "import importlib.util, os, sys\n"
        "spec = importlib.util.spec_from_file_location('zygote', sys.argv[1])\n"
        "zygote = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(zygote)\n"
        "class Guest:\n"
        "    handle = staticmethod(lambda request: os.write(1, b'handled'))\n"
        "gone = os.getpid()  # anybody but its parent\n"
        "zygote._be_the_child(Guest, None, 1, (), gone, 0, False, None)\n"
    )
    path = Path(conversation.__file__).with_name("zygote.py")
    child = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, timeout=30, check=False)
    assert (child.returncode, child.stdout) == (-signal.SIGKILL, b"")
