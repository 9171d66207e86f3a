"""Each measure of confinement, taken by a process made for it, so that the tests' own process stays free.

The measures are shared with other workers; that they hold together against programs is in `test_backend`.
"""

from __future__ import annotations

import errno
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox_wasm import confinement, seccomp
from tests.attacks.judge import LANDLOCK


def in_a_child(script: str, *arguments: str) -> str:
    """What a script prints that starts with the confinement module loaded; a crash fails the test."""
    start = (
        "import errno, os, signal, socket, sys, threading, resource\n"
        "from sandbox_wasm import confinement as c, seccomp as s\n"
        "def fails(action):\n"
        "    try: action()\n"
        "    except OSError as error: return errno.errorcode[error.errno]\n"
        "    return 'works'\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", start + script, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_filter_leaves_reading_and_computing_and_takes_the_rest() -> None:
    said = in_a_child(
        """
print(c.no_new_privileges(), s.deny_system_calls(s.COMPUTE))
print(len(open(os.__file__).read()) > 0, os.getpid() > 0)
for action in (
    lambda: open('/tmp/made', 'w'), lambda: os.open('/', os.O_TMPFILE | os.O_WRONLY), lambda: socket.socket(),
    os.fork, os.pipe, lambda: os.kill(os.getppid(), 0), lambda: os.kill(os.getpid(), 0), lambda: os.mkdir('/tmp/made'),
    lambda: resource.getrlimit(resource.RLIMIT_AS) and None,
):
    print(fails(action))
"""
    ).split()
    assert said == ["True", "True", "True", "True", *["EPERM"] * 8, "works"]


def test_filters_can_only_be_narrowed() -> None:
    script = """
c.no_new_privileges()
s.deny_system_calls(s.COMPUTE)
print(s.deny_system_calls(s.SEALED), fails(os.fork))
"""
    assert in_a_child(script) == "False EPERM", "installing another filter is itself denied"


def instructions(program: bytes) -> list[tuple[int, int, int, int]]:
    return [struct.unpack_from("<HBBI", program, at) for at in range(0, len(program), 8)]


def judge(program: bytes, number: int, arguments: tuple[int, ...] = (), audit: int = 0xC000003E) -> int:
    """Run the filter as the kernel would, on one call."""
    arguments = (*arguments, *[0] * (6 - len(arguments)))
    memory = {0: number, 4: audit}
    for index, argument in enumerate(arguments):
        memory[16 + 8 * index] = argument & 0xFFFFFFFF
        memory[20 + 8 * index] = argument >> 32
    code, at, register = instructions(program), 0, 0
    while True:
        operation, when_true, when_false, operand = code[at]
        at += 1
        if operation == 0x20:
            register = memory[operand]
        elif operation == 0x54:
            register &= operand
        elif operation == 0x15:
            at += when_true if register == operand else when_false
        else:
            assert operation == 0x06
            return operand


ALLOW, DENY, UNKNOWN, KILL = 0x7FFF0000, 0x50000 | errno.EPERM, 0x50000 | errno.ENOSYS, 0x80000000


@pytest.mark.parametrize(
    ("number", "arguments", "verdict"),
    [
        (0, (), ALLOW),  # read
        (1, (), ALLOW),  # write
        (2, (0, os.O_RDONLY), ALLOW),  # open
        (2, (0, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY | os.O_NOFOLLOW), ALLOW),
        (2, (0, os.O_WRONLY), DENY),
        (257, (0, 0, os.O_RDWR), DENY),  # openat
        (257, (0, 0, os.O_CREAT), DENY),
        (257, (0, 0, os.O_RDONLY | os.O_TRUNC), DENY),
        (257, (0, 0, os.O_TMPFILE), DENY),
        (437, (), DENY),  # openat2
        (62, (4711, 9), DENY),  # kill, be it oneself: the zygote takes that for the machine's doing
        (62, (4712, 9), DENY),
        (62, (0xFFFFFFFF, 9), DENY),
        (62, (0, 9), DENY),
        (234, (4711, 4711, 6), DENY),  # tgkill
        (234, (1, 1, 6), DENY),
        (200, (4711, 6), DENY),  # tkill
        (72, (0, 1), ALLOW),  # fcntl F_GETFD
        (72, (0, 8), DENY),  # F_SETOWN
        (302, (0, 9, 0), ALLOW),  # prlimit64, reading
        (302, (0, 9, 0x1000), DENY),
        (302, (0, 9, 0x7F00_0000_0000), DENY),  # a pointer whose low half is zero
        (41, (), DENY),  # socket
        (56, (), DENY),  # clone
        (57, (), DENY),  # fork
        (59, (), DENY),  # execve
        (101, (), DENY),  # ptrace
        (157, (), DENY),  # prctl
        (321, (), DENY),  # bpf
        (425, (), DENY),  # io_uring_setup
        (435, (), UNKNOWN),  # clone3
        (999, (), DENY),
        (0x40000000, (), DENY),  # read, by its x32 number
    ],
)
def test_the_filter_judges_each_call_by_its_number_and_arguments(
    number: int, arguments: tuple[int, ...], verdict: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert judge(compiled(seccomp.COMPUTE, monkeypatch), number, arguments) == verdict


@pytest.mark.parametrize(
    ("number", "arguments", "verdict"),
    [
        (45, (), ALLOW),  # recvfrom
        (9, (0, 4096, 3), ALLOW),  # mmap, to read and write
        (9, (0, 4096, 5), DENY),  # and to execute
        (10, (0, 4096, 4), DENY),  # mprotect
        (56, (0x3D0F00,), ALLOW),  # clone, a thread
        (56, (0x1200011,), DENY),  # a process
        (16, (3, 0xC0606610), ALLOW),  # ioctl PAGEMAP_SCAN
        (16, (0, 0x5412), DENY),  # TIOCSTI
        (234, (4711, 4711, 6), ALLOW),  # tgkill, oneself
        (234, (1, 1, 6), DENY),
        (2, (0, os.O_RDONLY), DENY),  # open
        (62, (4711, 9), DENY),  # kill
        (41, (), DENY),  # socket
        (435, (), UNKNOWN),  # clone3
    ],
)
def test_the_filter_of_sealed_workers_judges_by_a_list_of_its_own(
    number: int, arguments: tuple[int, ...], verdict: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert judge(compiled(seccomp.SEALED, monkeypatch), number, arguments) == verdict


def compiled(profile: seccomp.Profile, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """The filter on x86-64, for the process 4711."""
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    program = seccomp.compile_filter(profile, 4711)
    assert program is not None
    return program


def test_a_call_by_another_machines_numbers_kills(monkeypatch: pytest.MonkeyPatch) -> None:
    assert judge(compiled(seccomp.COMPUTE, monkeypatch), 0, audit=0x40000003) == KILL


def test_an_unknown_machine_has_no_filter_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "pdp11")
    assert seccomp.compile_filter(seccomp.COMPUTE, 1) is None
    assert seccomp.deny_system_calls(seccomp.COMPUTE) is False
    assert confinement.drop_capabilities() is False


@pytest.mark.skipif(not LANDLOCK, reason="the kernel has no Landlock")
def test_only_the_given_folders_can_be_read_and_none_written(tmp_path: Path) -> None:
    for name in ("seen", "unseen"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("text")
    script = """
folder = sys.argv[1]
print(c.no_new_privileges(), c.read_only_below([folder + '/seen', folder + '/missing']))
for path, mode in (('seen/file', 'r'), ('unseen/file', 'r'), ('seen/file', 'a'), ('seen/made', 'w')):
    print(fails(lambda: open(folder + '/' + path, mode)))
print(fails(lambda: os.unlink(folder + '/seen/file')))
print(fails(lambda: os.listdir(folder + '/seen')), fails(lambda: os.listdir('/')))
"""
    said = in_a_child(script, str(tmp_path)).split()
    assert said == ["True", "True", "works", "EACCES", "EACCES", "EACCES", "EACCES", "works", "EACCES"]


@pytest.mark.skipif(not LANDLOCK, reason="the kernel has no Landlock")
def test_rules_can_be_made_once_and_obeyed_on_top_of_wider_ones(tmp_path: Path) -> None:
    for name in ("seen", "unseen"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("text")
    script = """
folder = sys.argv[1]
c.no_new_privileges()
narrow = c.rules_of_reading([folder + '/seen'])
print(c.read_only_below([folder]), fails(lambda: open(folder + '/unseen/file')), c.obey(narrow))
print(fails(lambda: open(folder + '/unseen/file')), fails(lambda: open(folder + '/seen/file')))
"""
    assert in_a_child(script, str(tmp_path)).split() == ["True", "works", "True", "EACCES", "works"]


def test_the_network_is_left_behind() -> None:
    script = """
server = socket.create_server(('127.0.0.1', 0))
if c.leave_network():
    print(fails(lambda: socket.create_connection(server.getsockname(), timeout=5)))
else:
    print('refused by the kernel')
"""
    assert in_a_child(script) in ("ENETUNREACH", "refused by the kernel")


def test_who_is_not_root_leaves_the_network_and_stays_who_he_is() -> None:
    script = """
import encodings.idna  # Another user may not be able to read the library.
if os.getuid() == 0:
    os.setgid(12345)
    os.setuid(12345)
    assert not c.leave_network(), 'a process that hides its memory could not keep its number'
    c._prctl(4, 1)  # As if it had been started by that user.
user = os.getuid()
left = c.leave_network()
print(os.getuid() == user, fails(lambda: socket.create_connection(('127.0.0.1', 9), timeout=5)) if left else 'refused')
"""
    assert in_a_child(script) in ("True ENETUNREACH", "True refused")


def test_root_without_capabilities_is_a_common_user() -> None:
    script = "print(c.drop_capabilities(), fails(lambda: os.setgroups([1])), fails(lambda: os.chroot('/')))"
    assert in_a_child(script) == "True EPERM EPERM"


@pytest.mark.parametrize(
    ("limits", "action"),
    [
        ("open_files=8", "[open('/dev/null') for _ in range(20)]"),
        ("address_space=1 << 30", "bytearray(1 << 31)"),
    ],
)
def test_limits_hold_and_cannot_be_raised_again(limits: str, action: str) -> None:
    script = f"""
c.limit_resources({limits})
c.limit_resources({limits.replace("=", "=16 * ")})
try:
    {action}
    print('works')
except (OSError, MemoryError):
    print('fails')
print(resource.getrlimit(resource.RLIMIT_CORE))
"""
    assert in_a_child(script).splitlines() == ["fails", "(0, 0)"]


def test_the_calls_allowed_are_named_and_few() -> None:
    dangerous = {"clone", "fork", "execve", "socket", "connect", "ptrace", "mount", "prctl", "bpf", "seccomp"}
    for profile in (seccomp.COMPUTE, seccomp.SEALED):
        assert not profile.calls & dangerous
        assert not profile.calls & {condition.call for condition in profile.conditions}
        assert len(profile.calls) < 80
