"""After a driver's SIGKILL nothing of it lives on and its folders are gone; after a good end the reaper just leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from azr.run import reaper
from azr.run.reaper import USUAL, Pace
from benchmarks.processes import title

DRIVER = """
import os, subprocess, sys, time
from pathlib import Path
from azr.run.reaper import Pace, reaping
stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(600)"
pace = Pace(*map(float, sys.argv[3:5]))
with reaping(os.getpid(), [Path(sys.argv[1])], [Path(sys.argv[2])], "begin {anew}", pace) as reaper:
    quiet = subprocess.DEVNULL
    child = subprocess.Popen(
        [sys.executable, "-c", stubborn], stdout=subprocess.PIPE, stderr=quiet, start_new_session=True
    )
    child.stdout.readline()
    print(child.pid, flush=True)
    {rest}
"""

#: Looks and graces of the product take seconds, which all of these tests would wait for.
QUICK = Pace(look=0.5, grace=1.5)
#: By then a look has been taken, on a busy machine too.
SEEN_SECONDS = QUICK.look + 1.0


def drive(
    folder: Path, rest: str, weights: Path = Path("/nowhere"), pace: Pace = QUICK
) -> tuple[subprocess.Popen[str], psutil.Process]:
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER.replace("{rest}", rest), str(folder), str(weights), *map(str, pace)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert driver.stdout is not None
    return driver, psutil.Process(int(driver.stdout.readline()))


def test_a_killed_driver_takes_its_processes_and_folders_along(tmp_path: Path) -> None:
    folder = tmp_path / "session"
    folder.mkdir()
    weights = tmp_path / "weights"
    weights.mkdir()
    for name in ("0.3.safetensors", "0.3.safetensors.json", "of the user"):
        (weights / name).touch()
    driver, child = drive(folder, "time.sleep(600)", weights, USUAL)
    time.sleep(USUAL.look + 1.0)  # it looks for descendants every so often
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    gone, alive = psutil.wait_procs([child], timeout=30)
    assert (len(gone), alive) == (1, [])
    deadline = time.monotonic() + 10
    while folder.exists() or len(list(weights.iterdir())) > 1:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert [path.name for path in weights.iterdir()] == ["of the user"]
    assert driver.stderr is not None
    assert driver.stderr.read() == reaper.LAST_WORDS.format(mend="begin {anew}") + "\n", "the reaper speaks for it"


def test_a_killed_reaper_is_replaced_and_the_next_does_its_work(tmp_path: Path) -> None:
    """All of it: processes, folders, and what engines leave in memory and as sockets."""
    folder = tmp_path / "session"
    folder.mkdir()
    driver, child = drive(folder, "time.sleep(600)")
    semaphore, sockets = Path(f"/dev/shm/sem.loky-{child.pid}-test"), Path(f"/tmp/azr-engine-{child.pid}")
    semaphore.touch()
    sockets.mkdir(mode=0o700)
    try:
        first = reapers(driver.pid)[0]
        first.kill()
        deadline = time.monotonic() + 20
        while not (following := [one for one in reapers(driver.pid) if one.pid != first.pid]):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(SEEN_SECONDS + 1.0)  # it has to start
        os.kill(driver.pid, signal.SIGKILL)
        driver.wait()
        gone, _ = psutil.wait_procs([child, *following], timeout=30)
        assert {process.pid for process in gone} == {child.pid, following[0].pid}
        assert [path for path in (folder, semaphore, sockets) if path.exists()] == []
    finally:
        semaphore.unlink(missing_ok=True)
        if sockets.exists():
            sockets.rmdir()


def test_a_reaper_that_was_just_replaced_leaves_at_a_good_end(tmp_path: Path) -> None:
    driver, child = drive(tmp_path / "session", "time.sleep(3)")
    try:
        reapers(driver.pid)[0].kill()
        assert driver.wait(30) == 0
        assert child.is_running()
    finally:
        child.kill()


def reapers(driver: int) -> list[psutil.Process]:
    return [child for child in psutil.Process(driver).children() if "azr.run.reaper" in title(child)]


def test_programs_of_ray_are_known_by_the_folder_they_were_given(tmp_path: Path) -> None:
    """Also those that nobody has seen descend from the driver; a user's own look into the folder is no such program."""
    sleep = "import time; time.sleep(60)"
    script = tmp_path / "ray" / "raylet.py"
    script.parent.mkdir()
    script.write_text(sleep)
    folder = tmp_path / "session"
    commands = (["-u", str(script), f"--dir={folder}/sockets"], ["-u", str(script)], ["-c", sleep, str(folder)])
    started = [subprocess.Popen([sys.executable, *words]) for words in commands]
    try:
        assert [process.pid for process in reaper.rays_in([folder])] == [started[0].pid]
    finally:
        for one in started:
            one.kill()
            one.wait()


def test_what_a_process_left_that_died_on_the_way_goes_while_the_driver_works_on(tmp_path: Path) -> None:
    driver, child = drive(
        tmp_path / "session", f"time.sleep({SEEN_SECONDS}); child.kill(); child.wait(); time.sleep(60)"
    )
    semaphore = Path(f"/dev/shm/sem.loky-{child.pid}-test")
    semaphore.touch()
    try:
        deadline = time.monotonic() + 30
        while semaphore.exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert driver.poll() is None
    finally:
        semaphore.unlink(missing_ok=True)
        driver.kill()
        driver.wait()


def test_after_a_good_end_the_reaper_removes_what_dead_engines_left_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "session"
    folder.mkdir()
    driver, child = drive(folder, f"time.sleep({SEEN_SECONDS}); child.kill(); child.wait()")
    sockets = Path(f"/tmp/azr-engine-{child.pid}")
    sockets.mkdir(mode=0o700)
    assert driver.wait(30) == 0
    assert not sockets.exists()
    assert folder.exists()


def test_versions_that_somebody_of_rays_puts_back_at_a_good_end_go_when_it_is_gone(tmp_path: Path) -> None:
    """A registry that was killed as the run ended and is just being made again, which no look has seen yet."""
    folder, weights = tmp_path / "session", tmp_path / "weights"
    registry = tmp_path / "ray" / "registry.py"
    registry.parent.mkdir()
    registry.write_text(
        "import pathlib, sys, time; time.sleep(1.5); folder = pathlib.Path(sys.argv[2]); folder.mkdir();"
        "(folder / 'wanted.json').touch()"
    )
    late = f"subprocess.Popen([sys.executable, {str(registry)!r}, sys.argv[1], sys.argv[2]], start_new_session=True)"
    # Not the driver's child: its parent is gone, as a worker's is whose raylet has ended.
    orphan = f"import subprocess, sys; {late}"
    rest = f"subprocess.run([sys.executable, '-c', {orphan!r}, *sys.argv[1:]]); child.kill(); child.wait()"
    driver, child = drive(folder, rest, weights, USUAL)
    began = time.monotonic()
    assert driver.wait(30) == 0
    assert time.monotonic() - began > 1.0, "the reaper waited for it"
    assert not weights.exists()
    assert not child.is_running()


def test_a_driver_that_can_tell_nobody_anything_has_all_ended_and_lives_on(tmp_path: Path) -> None:
    folder = tmp_path / "session"
    folder.mkdir()
    driver, child = drive(folder, f"time.sleep({SEEN_SECONDS}); reaper.end_all(); child.wait(); sys.exit(4)")
    assert driver.wait(60) == 4
    assert not child.is_running()
    assert not folder.exists()
    assert driver.stderr is not None
    assert driver.stderr.read() == "", "it speaks for itself"


def test_after_a_good_end_who_lives_goes_on_living(tmp_path: Path) -> None:
    driver, child = drive(tmp_path / "session", "")
    sockets = Path(f"/tmp/azr-engine-{child.pid}")
    sockets.mkdir(mode=0o700)
    try:
        assert driver.wait(30) == 0
        assert child.is_running(), "whoever ends well has ended its processes by itself, or wants them to live"
        assert sockets.exists()
        assert driver.stderr is not None
        assert driver.stderr.read() == ""
    finally:
        child.kill()
        sockets.rmdir()


def orphan_of(raylet: str) -> str:
    """What a driver does whose worker lives on when its raylet, which a look has seen it descend from, is gone."""
    sleeper = f"subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], env={raylet}, **quiet)"
    parent = (
        "import os, subprocess, sys, time; "
        "quiet = {'start_new_session': True, 'stdout': subprocess.DEVNULL, 'stderr': subprocess.DEVNULL}; "
        f"print({sleeper}.pid, flush=True); time.sleep({SEEN_SECONDS})"
    )
    return (
        f"parent = subprocess.Popen([sys.executable, '-c', {parent!r}], stdout=subprocess.PIPE);"
        "print(int(parent.stdout.readline()), flush=True); parent.wait(); child.kill(); child.wait()"
    )


def test_a_worker_that_hangs_in_its_end_does_not_outlive_a_run_that_ended_well(tmp_path: Path) -> None:
    driver, _ = drive(tmp_path / "session", orphan_of("{**os.environ, 'RAY_RAYLET_PID': '7'}"))
    assert driver.stdout is not None
    worker = psutil.Process(int(driver.stdout.readline()))
    assert driver.wait(30) == 0
    assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE


def test_an_orphan_that_no_raylet_started_is_somebody_s_own_and_lives_on(tmp_path: Path) -> None:
    driver, _ = drive(tmp_path / "session", orphan_of("dict(os.environ)"))
    assert driver.stdout is not None
    orphan = psutil.Process(int(driver.stdout.readline()))
    try:
        assert driver.wait(30) == 0
        assert orphan.is_running()
    finally:
        orphan.kill()


def test_semaphores_of_who_was_killed_go_at_either_end(tmp_path: Path) -> None:
    """Python's, under the name that `joblib` gives them in all processes that import it."""
    for rest in ("", "time.sleep(600)"):
        driver, child = drive(tmp_path / "session", f"time.sleep({SEEN_SECONDS} + 0.5); {rest}")
        semaphore = Path(f"/dev/shm/sem.loky-{child.pid}-test")
        semaphore.touch()
        try:
            time.sleep(SEEN_SECONDS)
            child.kill()
            if rest:
                driver.kill()
            driver.wait(30)
            deadline = time.monotonic() + 30
            while semaphore.exists():
                assert time.monotonic() < deadline
                time.sleep(0.05)
        finally:
            semaphore.unlink(missing_ok=True)


def test_who_leaves_by_itself_is_not_killed() -> None:
    brief = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(0.3)"])
    assert reaper.end({psutil.Process(brief.pid)}, grace=10.0) == []
    brief.wait()


def test_a_driver_that_is_gone_has_no_descendants() -> None:
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    assert reaper.descendants(done.pid) == set()
