"""What a person sees: the same words on a terminal and in a log, and nothing a model wrote acts on either."""

from __future__ import annotations

import errno
import io
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from azr.run.console import COLUMNS, Console, Goal, Start, bars, clock, line, view

TYPES = ("deduction", "induction")
VALUES = {
    "learner/step": 12.0,
    "batch/accuracy/deduction": 0.456,
    "batch/malformed/deduction": 0.02,
    "reward/mean/deduction/solve": 0.31,
    "reward/mean/deduction/propose": 0.5,
    "reward/learnability/deduction": 0.7,
    "proposal/solve_rate/deduction.mean": 0.6,
    "proposal/at_extremes/deduction": 0.25,
    "batch/valid/deduction": 0.75,
    "buffer/tasks/deduction": 1234.0,
    "off_policy/staleness/deduction/solve.mean": 1.0,
    "off_policy/staleness/deduction/solve.max": 3.0,
    "off_policy/staleness/deduction/propose.mean": 2.0,
    "off_policy/staleness/deduction/propose.max": 4.0,
    "off_policy/mismatch_k3": 2e-7,
    "off_policy/ess": 0.97,
    "loss/clip_low_fraction": 0.01,
    "loss/clip_high_fraction": 0.005,
    "perf/generated_tokens_per_second": 4321.0,
    "perf/trained_tokens_per_second": 2100.0,
    "perf/learner_idle": 0.08,
    "perf/rollout_idle": 0.31,
    "sandbox/executions_per_second": 512.0,
    "proposal/refused/duplicate": 9.0,
    "proposal/refused/no_entry": 3.0,
    "proposal/refused/banned": 0.0,
}


def test_a_step_in_words() -> None:
    shown = view(VALUES, TYPES, Goal(steps=100), seconds=60.0)
    assert shown.headline == "step 12/100   1:00 gone, 7:20 to go"
    assert shown.columns == COLUMNS
    assert shown.rows[0] == ("deduction", "46%", "0.50 / 0.31", "2%", "75%", "0.70", "60%", "25%", "1,234")
    assert shown.rows[1] == ("induction", *["–"], "– / –", *["–"] * 6)
    facts = dict(shown.facts)
    assert facts["age"] == "1.5 (≤ 4)"
    assert facts["mismatch"] == "2.0e-07"
    assert facts["clipped"] == "1.5%"
    assert facts["speed"] == "4,321 tok/s made, 2,100 trained (with prompts)"
    assert facts["waits"] == "learner 8% engines 31%"
    assert facts["refused"] == "duplicate 9, no_entry 3"


def test_what_is_not_known_is_a_dash_and_no_error() -> None:
    shown = view({}, TYPES, Goal(), 0.0)
    assert shown.headline == "step 0   0:00 gone"
    assert dict(shown.facts)["age"] == "–"
    assert line({}, TYPES, Goal(), 0.0).startswith("step 0  solved ded – ind –")


def test_the_plain_line_says_what_the_table_says() -> None:
    ages = {f"off_policy/age_share/{age}": value for age, value in enumerate((0.1, 0.4, 0.0, 0.2))}
    told = line(VALUES | ages | {"reward/mean/induction/solve": -0.25}, TYPES, Goal(steps=24), 60.0)
    assert told.split("  ") == [
        "step 12/24",
        "solved ded 46% ind –",
        "rewards 0.50 – / 0.31 -0.25",
        "valid 75% –",
        "tasks 1,234 –",
        "refused duplicate 9, no_entry 3",
        "age 1.5 (≤ 4) ▃█·▅",
        "kl 2.0e-07",
        "ess 97%",
        "4,321 tok/s made, 2,100 trained (with prompts)",
        "sandbox 512 runs/s",
        "waits learner 8% engines 31%",
        "1:00 gone, 1:00 to go",
    ]


@pytest.mark.parametrize(
    ("shares", "drawn"),
    [([], ""), ([1.0], "█"), ([0.0, 0.0], "··"), ([0.5, 0.25, 0.01, 0.0], "█▅▁·"), ([0.2] * 3, "███")],
)
def test_a_histogram_is_drawn_against_its_highest_class(shares: list[float], drawn: str) -> None:
    assert bars(shares) == drawn


@pytest.mark.parametrize(
    ("goal", "left"),
    [
        (Goal(), ""),
        (Goal(seconds=600.0), ", 9:00 to go"),
        (Goal(steps=24), ", 1:00 to go"),
        (Goal(steps=24, seconds=90.0), ", 0:30 to go"),
    ],
)
def test_whichever_bound_comes_first_says_how_long_it_takes(goal: Goal, left: str) -> None:
    assert view(VALUES, TYPES, goal, 60.0).headline.endswith(f"1:00 gone{left}")


@pytest.mark.parametrize(
    ("goal", "told"),
    [
        (Goal(), "11:00 gone"),
        (Goal(seconds=900.0), "11:00 gone, 4:00 to go"),
        (Goal(steps=24), "11:00 gone, 6:00 to go"),
    ],
)
def test_a_resumed_run_counts_earlier_time_and_goes_by_its_present_speed(goal: Goal, told: str) -> None:
    """Ten minutes before, and since then one minute for steps 11 and 12: twelve more take six."""
    start = Start(step=10, seconds=600.0)
    assert view(VALUES, TYPES, goal, 60.0, start).headline.endswith(f"   {told}")
    assert line(VALUES, TYPES, goal, 60.0, start).endswith(f"  {told}")


def test_before_its_first_step_a_resumed_run_has_no_speed() -> None:
    assert view(VALUES, TYPES, Goal(steps=24), 60.0, Start(12, 600.0)).headline.endswith("11:00 gone")


def test_the_console_tells_from_where_it_began() -> None:
    now, stream = [0.0], io.StringIO()
    console = Console(TYPES, Goal(seconds=900.0), stream=stream, terminal=False, clock=lambda: now[0])
    console.begin(Start(10, 600.0))
    now[0] = 60.0
    console.step(VALUES)
    assert stream.getvalue().endswith("11:00 gone, 4:00 to go\n")
    assert console.seconds == 60.0, "the driver adds earlier time itself"


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (65, "1:05"), (3725, "1:02:05"), (-3, "0:00")])
def test_time_spans(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_the_clock_runs_from_the_beginning_of_training_to_its_end() -> None:
    now = [100.0]
    console = Console(TYPES, Goal(), stream=io.StringIO(), terminal=False, clock=lambda: now[0])
    assert console.seconds == 0.0
    console.begin()
    now[0] = 130.0
    assert console.seconds == 30.0
    console.end()
    now[0] = 500.0
    console.end()
    assert console.seconds == 30.0


def test_without_a_terminal_each_step_is_a_plain_line() -> None:
    stream = io.StringIO()
    console = Console(TYPES, Goal(), stream=stream, terminal=False, clock=lambda: 5.0)
    console.say("engines … 1 replica")
    console.begin()
    console.step(VALUES)
    console.end()
    lines = stream.getvalue().splitlines()
    assert lines[0] == "engines … 1 replica"
    assert lines[1].startswith("step 12  solved ded 46% ind –  rewards 0.50 – / 0.31 –  valid 75% –")
    assert "\x1b" not in stream.getvalue()


def test_what_stands_is_shown_through_steps_that_bring_no_news_of_it_until_it_is_old() -> None:
    now, stream = [0.0], io.StringIO()
    console = Console(TYPES, Goal(), stream=stream, terminal=False, clock=lambda: now[0])
    console.begin()
    console.step(VALUES)
    for now[0] in (0.4, 10.0, 10.5):
        console.step({"learner/step": 13.0, "perf/learner_idle": 0.5})
    first, soon, still, old = stream.getvalue().splitlines()
    for each in (first, soon, still):
        assert "4,321 tok/s made" in each
        assert "sandbox 512 runs/s" in each
        assert "tasks 1,234 –" in each
    assert "– tok/s made" in old
    assert "refused duplicate 9" in first
    assert "refused –" in soon  # a count of what happened is a step's own
    assert "waits learner 50%" in soon


def test_a_pipe_gets_plain_lines_whatever_the_environment_wants_coloured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    stream = io.StringIO()
    console = Console(TYPES, Goal(), stream=stream, clock=lambda: 5.0)
    console.begin()
    console.step(VALUES)
    console.say("a word")
    console.end()
    assert "\x1b" not in stream.getvalue()
    assert stream.getvalue().endswith("a word\n")


@pytest.mark.parametrize(("term", "redrawn"), [("xterm-256color", True), ("dumb", False), ("unknown", False)])
def test_a_terminal_that_cannot_move_its_cursor_gets_lines_as_they_come(
    term: str, redrawn: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table that only appears when the run is over hides its steps, its warnings, and the answer to Ctrl-C."""
    monkeypatch.setenv("TERM", term)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    ours, theirs = os.openpty()
    with os.fdopen(ours, "rb", buffering=0) as shown, os.fdopen(theirs, "w") as stream:
        console = Console(TYPES, Goal(), stream=stream, clock=lambda: 5.0)
        console.begin()
        console.say("a word")
        before_the_end = shown.read(1 << 16).decode()
        console.end()
    assert ("\x1b[" in before_the_end) == redrawn
    assert "a word" in before_the_end or redrawn


def test_on_a_terminal_the_table_is_redrawn_and_news_stand_below() -> None:
    stream = io.StringIO()
    console = Console(TYPES, Goal(), stream=stream, terminal=True, clock=lambda: 5.0)
    console.begin()
    console.step(VALUES)
    for number in range(10):
        console.say(f"news {number}")
    console.end()
    final = stream.getvalue()
    assert "deduction" in final
    assert "news 9" in final
    assert console._news[0] == "news 4", "old news make room"


def test_all_news_are_kept_in_a_file_with_the_time_also_what_scrolls_out_of_the_table(tmp_path: Path) -> None:
    console = Console(TYPES, Goal(), stream=io.StringIO(), terminal=True, clock=lambda: 5.0)
    console.say("before there is a folder")
    console.keep(tmp_path / "driver.log")
    console.begin()
    for number in range(10):
        console.say(f"news {number}\nand what follows \x1b[2J")
    console.end()
    lines = (tmp_path / "driver.log").read_text().splitlines()
    assert len(lines) == 20
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (news \d|and what follows .*)", one) for one in lines)
    assert "\x1b" not in "".join(lines)


def test_a_log_that_cannot_be_written_costs_no_run(tmp_path: Path) -> None:
    stream = io.StringIO()
    console = Console(TYPES, Goal(), stream=stream, terminal=False)
    console.keep(tmp_path / "gone" / "driver.log")
    console.say("still said")
    assert stream.getvalue() == "still said\n"


#: Goes on speaking once its standard input says that nobody hears it any more.
_SPEAKS = """
import sys
from pathlib import Path
from azr.run.console import Console, Goal

console = Console(("deduction",), Goal())
console.keep(Path(sys.argv[1]))
console.say("heard")
sys.stdin.readline()
console.begin()
console.say("not heard")
console.step({"learner/step": 1.0})
console.end()
print("plain", flush=True)
print("wrong", file=sys.stderr, flush=True)
console.table(["answer"], [["1"]])
console.say("to the end")
"""


@pytest.mark.parametrize("ends", [os.pipe, os.openpty], ids=["pipe", "terminal"])
def test_a_run_outlives_whoever_watches_it(ends: Callable[[], tuple[int, int]], tmp_path: Path) -> None:
    """The reader of a pipe that leaves, a terminal that is closed."""
    watcher, stream = ends()
    command = [sys.executable, "-c", _SPEAKS, str(tmp_path / "driver.log")]
    run = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=stream, stderr=stream, start_new_session=True)
    os.close(stream)
    try:
        assert b"heard" in os.read(watcher, 100)
        os.close(watcher)
        run.communicate(b"nobody hears you\n", timeout=60)
    finally:
        run.kill()
        run.wait()
    assert run.returncode == 0
    said = [line[20:] for line in (tmp_path / "driver.log").read_text().splitlines()]
    assert said == ["heard", "not heard", "to the end"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_what_a_disk_took_of_its_words_does_not_silence_it(number: int) -> None:
    """One that is full, or fails for a while, as over a network. A terminal that is gone fails by the same number."""

    class Failing(io.StringIO):
        failing = True

        def write(self, text: str) -> int:
            if self.failing:
                raise OSError(number, os.strerror(number))
            return super().write(text)

    stream = Failing()
    console = Console(TYPES, Goal(), stream=stream, terminal=False)
    console.say("lost")
    stream.failing = False
    console.say("it takes words again")
    assert stream.getvalue() == "it takes words again\n"


@pytest.mark.parametrize("terminal", [True, False])
def test_control_characters_never_reach_the_screen(terminal: bool) -> None:
    stream = io.StringIO()
    console = Console(TYPES, Goal(), stream=stream, terminal=terminal, clock=lambda: 5.0)
    console.begin()
    console.step(VALUES | {"proposal/refused/\x1b]0;owned\x07\u202e": 99.0})
    console.say("model said \x1b]0;owned\x07")
    console.end()
    console.table(["answer"], [["\x1b]0;owned\x07"]])
    assert "\x1b]0" not in stream.getvalue()
    assert "\u202e" not in stream.getvalue()
    assert "\\x1b]0;owned" in stream.getvalue()


def test_markup_of_rich_is_shown_and_not_obeyed() -> None:
    stream = io.StringIO()
    Console(TYPES, Goal(), stream=stream, terminal=False).say("[red]hello[/red]")
    assert stream.getvalue() == "[red]hello[/red]\n"
