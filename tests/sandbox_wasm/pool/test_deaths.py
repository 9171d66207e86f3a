"""Workers die, hang and lie; nothing is lost, nothing is answered twice, nothing is left behind."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from sandbox_wasm.channel import Hello
from sandbox_wasm.pool import START_SECONDS, SandboxBrokenError, SandboxPool, open_sandbox
from sandbox_wasm.protocol import InspectJob, InspectResult, RunJob
from sandbox_wasm.wasm.cache import COMPILE_DEADLINE
from sandbox_wasm.worker_process import WorkerProcess
from tests.sandbox_wasm.pool.jobs import SHORT, eventually, run, said

JOBS = 300


def alive(process: int) -> bool:
    """Whether a process exists and is no zombie."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(psutil.Process(process).status() != psutil.STATUS_ZOMBIE)
    return False


def test_killing_workers_at_random_under_load_loses_nothing_and_repeats_nothing(
    plugin_site: Path, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    draw = random.Random(5)
    with open_sandbox("rehearsal", 2, log=str(log)) as pool:
        stop = threading.Event()
        killed = asked = 0

        def jobs() -> Iterator[RunJob]:
            """So many, and more where a machine is through with them before three workers were killed."""
            nonlocal asked
            while asked < JOBS or killed < 3:
                yield run("sleep 0.003", str(asked))
                asked += 1

        def kill_now_and_then() -> None:
            nonlocal killed
            while not stop.wait(draw.uniform(0.05, 0.25)):
                if workers := pool.worker_ids():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(draw.choice(workers), signal.SIGKILL)
                        killed += 1

        killer = threading.Thread(target=kill_now_and_then)
        killer.start()
        try:
            answers = [said(result) for result in pool.run_many(jobs())]
        finally:
            stop.set()
            killer.join()
        assert killed > 2
        assert pool.statistics().workers_replaced >= killed - 1
    # A job may be hit twice, and is then crashed; it is never missing and never another's.
    assert [answer for k, answer in enumerate(answers) if answer not in ([str(k)], ["crashed"])] == []
    assert answers.count(["crashed"]) <= 2
    begun = Counter(log.read_text().splitlines())
    assert len(begun) == asked
    assert sum(count - 1 for count in begun.values()) <= killed * 2, "only what was running was run again"


def test_a_worker_that_cannot_be_killed_holds_nothing_open(monkeypatch: pytest.MonkeyPatch) -> None:
    before = psutil.Process().num_fds()
    worker = WorkerProcess(1, Hello(backend="process", options={}, harden=False), now=0.0)

    def stuck(seconds: float) -> int:
        raise subprocess.TimeoutExpired("worker", seconds)

    with monkeypatch.context() as patch:
        patch.setattr(worker.process, "wait", stuck)
        assert worker.end() == "could not be killed in 10 s"
    assert psutil.Process().num_fds() == before
    assert worker.process.wait(30) == -signal.SIGKILL


def test_a_job_that_kills_its_worker_is_tried_twice_and_then_crashed(plugin_site: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with open_sandbox("rehearsal", 1, log=str(log)) as pool:
        (result,) = pool.run_many([run("die", "1")])
        assert said(result) == ["crashed"]
        assert log.read_text().count("die") == 2
        assert pool.statistics().workers_replaced == 2


def test_a_job_whose_worker_was_killed_for_other_reasons_is_answered_by_the_next(
    pool: SandboxPool, tmp_path: Path
) -> None:
    assert said(next(pool.run_many([run(f"die unless={tmp_path / 'once'}", "fine")]))) == ["fine"]


def test_the_input_that_crashes_does_not_lose_the_others(pool: SandboxPool) -> None:
    (result,) = pool.run_many([run("say", "a", "!die", "c")])
    assert said(result) == ["a", "crashed", "c"]


def test_neighbours_of_a_crash_are_answered_and_in_order(pool: SandboxPool) -> None:
    jobs = [run("die" if k % 10 == 5 else "sleep 0.001", str(k)) for k in range(40)]
    assert [said(result)[0] for result in pool.run_many(jobs)] == [
        "crashed" if k % 10 == 5 else str(k) for k in range(40)
    ]


def test_a_crash_says_how_the_worker_ended_and_what_it_said_last(pool: SandboxPool) -> None:
    killed, raised = pool.run_many([run("die"), run("raise because I must")])
    assert killed.outcomes[0].error == "sandbox worker died: killed by SIGKILL"  # type: ignore[union-attr]
    assert "left with status 70" in raised.outcomes[0].error  # type: ignore[union-attr]
    assert "RuntimeError: because I must" in raised.outcomes[0].error  # type: ignore[union-attr]


def test_an_inspection_that_kills_its_worker_is_crashed_too(pool: SandboxPool) -> None:
    (result,) = pool.run_many([InspectJob(program="die")])
    assert isinstance(result, InspectResult)
    assert result.reason == "crashed"


def test_a_worker_that_hangs_is_killed_at_its_limits_and_the_grace_and_its_neighbours_are_answered(
    pool: SandboxPool,
) -> None:
    hung, *others = pool.run_many([run("hang", "x", limits=SHORT), *(run("say", str(k)) for k in range(50))])
    assert said(hung) == ["crashed"]
    assert "gave no answer within 0.7 s" in hung.outcomes[0].error  # type: ignore[union-attr]
    assert [said(result) for result in others] == [[str(k)] for k in range(50)]


def test_a_worker_that_speaks_nonsense_is_replaced(pool: SandboxPool, tmp_path: Path) -> None:
    (result,) = pool.run_many([run("babble", "x")])
    assert said(result) == ["crashed"]
    assert "nonsense" in result.outcomes[0].error  # type: ignore[union-attr]
    assert said(next(pool.run_many([run("say", "fine")]))) == ["fine"]


def test_the_wall_clocks_word_is_asked_for_once_more(pool: SandboxPool, tmp_path: Path) -> None:
    once, always = pool.run_many([run(f"retry unless={tmp_path / 'once'}", "fine"), run("say", "a", "!retry")])
    assert said(once) == ["fine"]
    assert said(always) == ["a", "retry"]
    assert "wall clock" in always.outcomes[1].error  # type: ignore[union-attr]


def test_a_worker_killed_while_idle_is_replaced_at_once(pool: SandboxPool) -> None:
    eventually(lambda: len(pool.worker_ids()) == 2, "both workers are ready")
    before = pool.worker_ids()
    for worker in before:
        os.kill(worker, signal.SIGKILL)
    eventually(lambda: len(set(pool.worker_ids()) - set(before)) == 2, "both were replaced")
    assert said(next(pool.run_many([run("say", "fine")]))) == ["fine"]


def test_a_back_end_that_cannot_start_is_told_with_what_its_worker_said(plugin_site: Path) -> None:
    with pytest.raises(SandboxBrokenError) as complaint:
        open_sandbox("rehearsal", 1, start="raise no licence")
    assert "'rehearsal'" in str(complaint.value)
    assert "RuntimeError: no licence" in str(complaint.value)


def test_a_back_end_that_never_gets_ready_is_given_up_and_named(plugin_site: Path) -> None:
    with pytest.raises(SandboxBrokenError, match=r"'rehearsal' became ready.*was not ready within 0\.3 s"):
        open_sandbox("rehearsal", 1, start="hang", start_seconds=0.3)


def test_a_worker_that_fails_to_start_once_is_replaced(plugin_site: Path, tmp_path: Path) -> None:
    with open_sandbox("rehearsal", 1, start=f"die unless={tmp_path / 'once'}") as pool:
        assert said(next(pool.run_many([run("say", "fine")]))) == ["fine"]


def test_workers_that_fail_to_start_together_failed_once(plugin_site: Path, tmp_path: Path) -> None:
    """Those that wait for one that compiles all give up in the same round."""
    log = tmp_path / "log"
    with pytest.raises(SandboxBrokenError, match="3 times in a row"):
        open_sandbox("rehearsal", 4, start="hang", start_seconds=1.0, log=str(log))
    assert len(log.read_text().splitlines()) > 2 * 4, "the second generation was whole, and there was a third"


def test_workers_get_longer_to_start_than_they_may_wait_for_one_that_compiles() -> None:
    assert START_SECONDS > COMPILE_DEADLINE


def test_isolation_that_failed_breaks_the_pool_for_all_its_callers(plugin_site: Path) -> None:
    with open_sandbox("rehearsal", 2) as pool:
        assert said(next(pool.run_many([run("say", "before")]))) == ["before"]
        with pytest.raises(SandboxBrokenError, match=r"cannot be trusted(.|\n)*IsolationError: page 7"):
            list(pool.run_many([run("leak page 7"), run("say", "after")]))
        with pytest.raises(SandboxBrokenError, match="cannot be trusted"):
            list(pool.run_many([run("say", "later")]))


def test_the_last_words_of_a_replaced_worker_are_logged(pool: SandboxPool, caplog: pytest.LogCaptureFixture) -> None:
    list(pool.run_many([run("raise because I must")]))
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(told) == 2
    assert all("RuntimeError: because I must" in text and "is replaced" in text for text in told)


def test_workers_see_of_the_environment_what_they_need_and_no_more(
    plugin_site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZR_CACHE", "/nowhere")
    monkeypatch.setenv("AZR_TOKEN", "secret")
    with open_sandbox("rehearsal", 1) as pool:
        seen = psutil.Process(pool.worker_ids()[0]).environ()
    assert seen["AZR_CACHE"] == "/nowhere"
    assert "AZR_TOKEN" not in seen


@pytest.mark.parametrize("job", ["say", "sleep 60", "hang"])
def test_closing_leaves_no_worker_whatever_it_is_doing(plugin_site: Path, job: str) -> None:
    pool = open_sandbox("rehearsal", 2)
    eventually(lambda: len(pool.worker_ids()) == 2, "both workers are ready")
    workers = pool.worker_ids()
    results = pool.run_many([run(job)] * 4)
    threading.Timer(0.2, pool.close).start()
    with contextlib.suppress(Exception):
        list(results)
    pool.close()
    assert [worker for worker in workers if alive(worker)] == []


def test_an_exception_in_the_callers_block_leaves_no_worker(plugin_site: Path) -> None:
    with pytest.raises(ZeroDivisionError), open_sandbox("rehearsal", 1) as pool:
        workers = pool.worker_ids()
        next(pool.run_many(run("sleep 0.01") for _ in range(10)))
        1 / 0  # noqa: B018
    assert [worker for worker in workers if alive(worker)] == []


_CALLER = """
import sys
sys.path[:] = sys.argv[1:]
from sandbox_wasm.pool import open_sandbox
from sandbox_wasm.protocol import RunJob
with open_sandbox("rehearsal", 2) as pool:
    while len(pool.worker_ids()) < 2:
        pass
    print(*pool.worker_ids(), flush=True)
    list(pool.run_many([RunJob(program="sleep 600", inputs=("1",))] * 4))
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_no_worker_outlives_a_caller_however_that_ends(plugin_site: Path, how: signal.Signals) -> None:
    path = [folder for folder in sys.path if folder] + [str(Path(__file__).parents[3])]
    with subprocess.Popen(
        [sys.executable, "-c", _CALLER, *path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as caller:
        assert caller.stdout is not None
        workers = [int(word) for word in caller.stdout.readline().split()]
        assert len(workers) == 2
        assert all(alive(worker) for worker in workers)
        caller.send_signal(how)
        caller.wait(20)
    eventually(lambda: not any(alive(worker) for worker in workers), "the workers are gone")


def test_a_pool_works_in_a_process_with_more_than_a_thousand_open_files(plugin_site: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2048:
        pytest.skip("kernel feature: this user may not open 2,048 files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2048), hard))
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    try:
        with open_sandbox("rehearsal", 1) as pool:
            assert [said(result) for result in pool.run_many([run("die"), run("say", "b")])] == [["crashed"], ["b"]]
    finally:
        for descriptor in held:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_pool_opened_in_a_thread_outlives_that_thread(plugin_site: Path) -> None:
    opened: list[SandboxPool] = []
    thread = threading.Thread(target=lambda: opened.append(open_sandbox("rehearsal", 1)))
    thread.start()
    thread.join()
    with opened[0] as pool:
        before = pool.worker_ids()
        time.sleep(0.2)
        assert said(next(pool.run_many([run("say", "fine")]))) == ["fine"]
        assert pool.worker_ids() == before, "the kernel kills a worker when the thread that started it ends"
