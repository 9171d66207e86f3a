"""The process that children are forked from: an interpreter with nothing in it but the guest.

Started by the back end as a script by path, so that neither this package nor anything it imports is loaded here; what
it needs of it, it loads by path too. One task at a time, no threads.

    stdout ◄── which measures hold, once
    stdin ──► Task ──► fork ──► child: limits, system-call filter ──► guest.handle(request) ──► pipe
    stdout ◄── Ending ◄── watch: the child's pipe, its CPU clock, the wall clock, the back end's life

The zygote itself gives up the network, capabilities and all files but Python's own and /proc before the first child,
who inherit that at no cost; each child gives up /proc as well, and adds its limits and the filter. When a child ends,
however it ends, its whole process group and whatever it may have left behind is killed and waited for before the answer
goes out. Without the filter no child runs anything, unless the back end allowed it.

It dies with the back end: the kernel kills it with the thread that started it, and every wait here ends by itself.
"""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import os
import resource
import select
import signal
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

_ROOT = Path(__file__).resolve().parent.parent


def _load(name: str, path: Path, folder: Path | None = None) -> ModuleType:
    """A module, or with a folder a package, from its file alone."""
    places = [str(folder)] if folder else None
    spec = importlib.util.spec_from_file_location(name, path, submodule_search_locations=places)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


if TYPE_CHECKING:
    from sandbox_wasm import confinement, seccomp
    from sandbox_wasm.process import conversation
    from sandbox_wasm.process.conversation import Ending, Task
else:
    confinement = _load("confinement", _ROOT / "confinement.py")
    seccomp = _load("seccomp", _ROOT / "seccomp.py")
    conversation = _load("conversation", _ROOT / "process" / "conversation.py")
    Ending, Task = conversation.Ending, conversation.Task

#: Seconds of CPU on top of the task's at which the kernel kills a child by itself, should the zygote be hindered.
_CPU_GRACE = 2

#: Files a child may have open: its three streams, its pipe, and modules being imported.
_OPEN_FILES = 32

#: How long a child that has closed its pipe may take to end by itself, so that its own end can be reported.
_LAST_BREATH_SECONDS = 0.1

#: The longest the zygote waits before it looks at the child's clock again.
_LONGEST_WAIT = 0.25

#: How often an idle zygote makes sure that its back end lives.
_IDLE_CHECK_SECONDS = 5.0

#: How long a frame that has begun may take to travel whole. The back end writes and reads without pause.
_FRAME_SECONDS = 20.0

#: How long a killed child may take to be gone. One that is stuck in a driver takes the zygote along.
_BURY_SECONDS = 10.0

#: What a child waits for that sleeps at the end of its wall time, and still so much later, is nothing that would come,
#: however long it has computed before: it has nobody to wait for. On a busy machine it would not sleep but want to run.
_MOMENT_SECONDS = 0.05

#: Exit status of a child that could not be given its filter.
_UNFILTERED = 3


def main() -> None:
    """Serve the back end, which holds the other ends of our standard input and output, until it goes away.

    Arguments: the back end's process id, and `filter` or `any`: whether to run anything without the filter.
    """
    backend, must_filter = int(sys.argv[1]), sys.argv[2] != "any"
    _die_with(backend)
    guest = _load_guest(_ROOT / "guest")
    tasks, endings = os.dup(0), os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)
    os.set_blocking(endings, False)
    measures, rules = _confine()
    _die_with(backend)  # Again: the kernel forgets it when privileges change.
    _write_all(endings, conversation.pack_measures(measures))
    if measures[conversation.FILTER] or not must_filter:
        Zygote(guest, tasks, endings, backend, must_filter, rules).serve()


def _die_with(backend: int) -> None:
    confinement.signal_when_parent_dies(signal.SIGKILL)
    if os.getppid() != backend:
        os._exit(0)


def _confine() -> tuple[dict[str, bool], int | None]:
    """Give up what no child needs; which measures hold, and the rules over files that each child is to obey."""
    confinement.limit_resources()
    folders = _readable_folders()
    measures = {
        "first to go when memory is short": confinement.first_to_go_when_memory_is_short(),
        "orphans adopted": confinement.adopt_orphans(),
        "no network": confinement.leave_network(),
        "no capabilities": confinement.drop_capabilities(),
        "no new privileges": confinement.no_new_privileges(),
        "no debugger": confinement.hide_memory(),
        "no files but Python's": False,
        conversation.FILTER: False,
    }
    rules = confinement.rules_of_reading(folders)  # of children, who may not look at each other
    if rules is not None and not confinement.read_only_below([*folders, "/proc"]):
        os.close(rules)
        rules = None
    measures |= {"no files but Python's": rules is not None, conversation.FILTER: _filter_holds()}
    gc.collect()
    gc.freeze()
    return measures, rules


def _filter_holds() -> bool:
    """Whether a child can be given the filter, tried by one; what is compiled here, each child completes."""
    seccomp.compile_filter(seccomp.COMPUTE, 0)
    child = os.fork()
    if child == 0:
        os._exit(0 if seccomp.deny_system_calls(seccomp.COMPUTE) else _UNFILTERED)
    return _gone(child) and os.waitpid(child, 0)[1] == 0


def _load_guest(folder: Path) -> Any:
    """The guest as a package of its own, warmed by one run of each kind of job."""
    _load("azr_guest", folder / "__init__.py", folder)
    handle = importlib.import_module("azr_guest.handle")
    handle.install()  # first, so that modules which take a clock with them take the virtual one
    importlib.import_module("azr_guest.library").preload()
    for request in (
        b'{"type":"run","program":"def f(a):\\n    return [a, {1: (2.5, b\'\')}]","inputs":["\'a\', "]}',
        b'{"type":"literal","texts":["{1, 2}"]}',
        b'{"type":"inspect","program":"def f(a):\\n    return [x for x in a if x or a.b(1)]"}',
    ):
        handle.handle(request)
    return handle


class Zygote:
    """Forks a child for each task and watches over it."""

    def __init__(
        self, guest: Any, tasks: int, endings: int, backend: int, must_filter: bool, rules: int | None
    ) -> None:
        self._guest = guest
        self._rules = rules
        self._tasks = tasks
        self._endings = endings
        self._backend = backend
        self._must_filter = must_filter
        self._base_memory = _mapped_bytes()

    def serve(self) -> None:
        """Answer tasks until the back end has gone."""
        while self._task_comes():
            header = self._read(conversation.LENGTH.size)
            body = None if header is None else self._read(conversation.LENGTH.unpack(header)[0])
            if body is None:
                return
            ending = self._run(conversation.unpack_task(body))
            _write_all(self._endings, conversation.pack_ending(ending))

    def _task_comes(self) -> bool:
        """Wait for the next task as long as the back end lives."""
        while not _ready(self._tasks, select.POLLIN, _IDLE_CHECK_SECONDS):
            if os.getppid() != self._backend:
                return False
        return True

    def _read(self, size: int) -> bytes | None:
        data = bytearray()
        deadline = time_monotonic() + _FRAME_SECONDS
        while len(data) < size:
            if not _ready(self._tasks, select.POLLIN, deadline - time_monotonic()):
                return None
            part = os.read(self._tasks, size - len(data))
            if not part:
                return None
            data += part
        return bytes(data)

    def _run(self, task: Task) -> Ending:
        answer, theirs = os.pipe()
        began, zygote = time_monotonic(), os.getpid()
        child = os.fork()
        if child == 0:
            others = (answer, self._tasks, self._endings)
            _be_the_child(self._guest, task, theirs, others, zygote, self._base_memory, self._must_filter, self._rules)
        os.close(theirs)
        try:
            how, payload = self._watch(task, child, answer, began)
        finally:
            os.close(answer)
            status, cpu = _bury(child)
        if how == conversation.GONE and not payload:
            how, payload = _end_of(status)
        return conversation.Ending(how, cpu, payload)

    def _watch(self, task: Task, child: int, answer: int, began: float) -> tuple[int, bytes]:
        """Gather the child's response until it ends or has used up a limit."""
        clock = (~child << 3) | 2  # the kernel's name for the CPU clock of a process
        deadline = began + task.wall_seconds
        response = bytearray()
        poll = select.poll()
        poll.register(answer, select.POLLIN)
        poll.register(self._tasks, 0)
        while True:
            cpu_left = task.cpu_seconds - _clock_seconds(clock)
            wall_left = deadline - time_monotonic()
            if cpu_left <= 0:
                return conversation.CPU_LIMIT, b"CPU time used up"
            if wall_left <= 0:
                if _waits_for_nothing(child, answer):
                    return conversation.ASLEEP, b"waits for what nobody will give it"
                return conversation.WALL_LIMIT, b"wall time used up"
            for descriptor, _ in poll.poll(1000 * min(cpu_left, wall_left, _LONGEST_WAIT) + 1):
                if descriptor == self._tasks:  # only an error or a hang-up can show there: the back end has gone
                    _bury(child)
                    os._exit(0)
                part = os.read(answer, 1 << 16)
                if not part:
                    return _complete(response, child)
                response += part
                if len(response) > task.response_bytes:
                    return conversation.TOO_LONG, b"its answer is longer than any answer can be"


def _waits_for_nothing(child: int, answer: int) -> bool:
    """Whether a child sleeps, or has stopped itself, and does so still a moment later without having written a word."""
    return _at_rest(child) and not _ready(answer, select.POLLIN, _MOMENT_SECONDS) and _at_rest(child)


def _at_rest(child: int) -> bool:
    with contextlib.suppress(OSError):
        state = Path(f"/proc/{child}/stat").read_text(errors="replace").rpartition(")")[2].split()[0]
        return state in ("S", "T")  # R wants to run, D waits for a disk: there the machine is slow
    return False


def _complete(response: bytearray, child: int) -> tuple[int, bytes]:
    """The child has closed its pipe: after a whole answer, which ends in a line feed, or without one."""
    if response.endswith(b"\n"):
        return conversation.ANSWERED, bytes(response[:-1])
    dead = _gone(child, _LAST_BREATH_SECONDS)
    return conversation.GONE, b"" if dead else b"closed its pipe before it answered"


def _be_the_child(
    guest: Any,
    task: Task,
    answer: int,
    others: tuple[int, ...],
    zygote: int,
    base_memory: int,
    must_filter: bool,
    rules: int | None,
) -> None:
    """Lock oneself in, answer, and leave without tidying up. Never returns.

    Who cannot is killed: an exit without an answer is taken for the program's own. A program cannot kill itself so, for
    the filter lets it send no signals; where the guest breaks after that, its end is the program's.
    """
    # What is used once the program has run is taken before: it may have put anything in its place.
    leave, write, kill, itself, for_good = os._exit, os.write, os.kill, os.getpid(), signal.SIGKILL
    try:
        os.setsid()
        for descriptor in others:
            os.close(descriptor)
        confinement.signal_when_parent_dies(signal.SIGKILL)
        if os.getppid() != zygote:  # it died before the kernel was asked, and nobody is left to end this child
            return
        if rules is not None:
            if not confinement.obey(rules):
                return
            os.close(rules)
        confinement.limit_resources(
            address_space=base_memory + task.memory_bytes,
            cpu_seconds=int(task.cpu_seconds) + _CPU_GRACE,
            open_files=_OPEN_FILES,
            processes=0,
        )
        if not seccomp.deny_system_calls(seccomp.COMPUTE) and must_filter:
            return
        response = memoryview(guest.handle(task.request) + b"\n")
        while response:
            response = response[write(answer, response) :]
        leave(0)
    finally:
        try:
            kill(itself, for_good)
        finally:
            leave(0)


def _bury(child: int) -> tuple[int, int]:
    """Kill the child's group and all orphans, wait for each; the child's status and CPU nanoseconds."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    if not _gone(child):
        os._exit(1)
    _, status, usage = os.wait4(child, 0)
    cpu = int((usage.ru_utime + usage.ru_stime) * 1e9)
    deadline = time_monotonic() + _BURY_SECONDS
    with contextlib.suppress(ChildProcessError):  # orphans are ours by adoption
        while time_monotonic() < deadline:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                select.poll().poll(1)
        os._exit(1)
    return status, cpu


def _gone(child: int, within: float = _BURY_SECONDS) -> bool:
    """Whether a child has ended, or does within so many seconds; it is still to be waited for."""
    life = os.pidfd_open(child)
    try:
        return _ready(life, select.POLLIN, within)
    finally:
        os.close(life)


def _ready(descriptor: int, event: int, within: float) -> bool:
    poll = select.poll()
    poll.register(descriptor, event)
    return bool(poll.poll(max(0.0, 1000 * within)))


def _end_of(status: int) -> tuple[int, bytes]:
    """How a child ended that closed its pipe without a word."""
    code = os.waitstatus_to_exitcode(status)
    if code == -signal.SIGXCPU:
        return conversation.CPU_LIMIT, b"CPU time used up"
    if code < 0:
        how = conversation.KILLED if code == -signal.SIGKILL else conversation.GONE
        return how, f"killed by {signal.Signals(-code).name} before it answered".encode()
    return conversation.LEFT, f"left with {code}".encode()


def _clock_seconds(clock: int) -> float:
    try:
        return real_clock_gettime(clock)
    except OSError:  # it has ended already; its pipe will say so
        return 0.0


def _mapped_bytes() -> int:
    with contextlib.suppress(OSError):
        return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    return 256 << 20


def _readable_folders() -> list[str]:
    """Python's own folders, its packages', the system's libraries and time zones."""
    prefixes = [sys.prefix, sys.base_prefix, sys.exec_prefix]
    return [*prefixes, "/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/share/zoneinfo"]


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    deadline = time_monotonic() + _FRAME_SECONDS
    while view:
        if not _ready(descriptor, select.POLLOUT, deadline - time_monotonic()):
            os._exit(1)  # Nobody reads: the back end has given us up.
        view = view[os.write(descriptor, view) :]


#: The guest puts its own clocks in place of the real ones; these are kept from before.
time_monotonic, real_clock_gettime = time.monotonic, time.clock_gettime

if __name__ == "__main__":
    main()
