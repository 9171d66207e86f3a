"""The product: `azr train` with real vLLM, Ray, sandbox and MLflow, killed in mid-run, resumed, stopped by Ctrl-C.

One story, because each start costs half a minute: the learner's rank is killed, and comes back; the driver is killed,
and a second one takes the run up; Ctrl-C ends that one. What the story left is then looked at from all sides.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import psutil
import pytest

from azr.config import load
from azr.journal.durable import open_experience
from azr.journal.journal import Journal
from azr.journal.storage import Folder
from azr.ledger import events
from azr.ledger.experience import Experience
from azr.ledger.snapshots import from_records
from azr.run.checkpoint import EXPERIENCE, TASKS, read_state
from azr.run.evaluation import read as read_evaluations
from azr.run.tracking.json_lines import read_lines
from azr.run.tracking.mlflow import tracking_uri
from azr.staleness.admission import Limits
from tests.run.whole import WholeRun, card

#: Between one event of the story and the next.
STEPS = 3


class Story(NamedTuple):
    """What happened, and where it lies."""

    folder: Path
    first: WholeRun
    second: WholeRun
    mlflow_before: str
    left: list[psutil.Process]
    """Processes of the killed driver that lived at the moment it died, and the rank that was killed before."""
    status: int
    told_before: int
    """The last step that the killed driver told."""
    books_before: Experience
    """As the journal told them when the driver was dead."""


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    runs = tmp_path_factory.mktemp("runs")
    first = WholeRun.begin(runs, "story")
    second = None
    try:
        first.until(lambda: len(first.steps()) >= 1, "a step")
        rank = first.kill_one("RayTrainWorker")
        goes_on = max(first.steps()) + STEPS
        first.until(lambda: max(first.steps()) >= goes_on, "steps after the learner's return")
        first.until(lambda: bool(card(first.folder)["mlflow"]), "an id of MLflow")
        left = [*first.kill(), rank]
        _gone(left)
        told_before = max(first.steps())
        before = _books(first.folder, tmp_path_factory.mktemp("journal-before"))
        mlflow_before = str(card(first.folder)["mlflow"])
        second = WholeRun.resume(runs, "story", "run.minutes=30")
        ends_at = max(first.steps()) + STEPS
        second.until(lambda: max(second.steps()) >= ends_at, f"step {ends_at}")
        second.signal(signal.SIGINT)
        status = second.end()
        yield Story(first.folder, first, second, mlflow_before, left, status, told_before, before)
    finally:
        first.tear_down()
        if second:
            second.tear_down()


def _gone(processes: list[psutil.Process]) -> None:
    """Wait until none of these lives; they see that their driver is gone and leave by themselves."""
    _, alive = psutil.wait_procs(processes, timeout=60)
    assert [process.cmdline() for process in alive if process.is_running()] == []


def _books(folder: Path, copy: Path) -> Experience:
    """The experience as its journal tells it, read from a copy."""
    config = load([str(folder / "config.yaml")])
    journal_folder = copy / "journal"
    journal_folder.mkdir()
    for path in (folder / "journal" / "experience-0").iterdir():
        if path.is_file():
            (journal_folder / path.name).write_bytes(path.read_bytes())
    journal = Journal(Folder(journal_folder), draw_marker=lambda: b"8 bytes!", clock=time.monotonic)
    experience, _ = open_experience(journal, Limits.of(config.algorithm, config.staleness), now=0.0)
    return experience


def test_ctrl_c_ends_the_run_well(story: Story) -> None:
    assert story.status == 0, story.second.said[-4000:]
    assert "Ctrl-C: finishing the step, writing a checkpoint" in story.second.said
    assert card(story.folder)["ended"] == "stopped"
    assert card(story.folder)["starts"] == 2


def test_nothing_is_left_behind(story: Story) -> None:
    assert not any(process.is_running() for process in story.left)
    mine = [
        process.cmdline()
        for process in psutil.process_iter(["cmdline"])
        if any(str(story.folder) in word or "azr-story" in word for word in process.info["cmdline"] or ())
    ]
    assert mine == []
    assert list(Path("/dev/shm").glob("azr-azr-story*")) == []
    assert [path for process in story.left for path in Path("/dev/shm").glob(f"sem.loky-{process.pid}-*")] == []
    owners = [path.name.split("-")[2] for path in Path("/tmp").glob("azr-ray-*") if path.name.count("-") >= 3]
    assert str(story.first.process.pid) not in owners
    assert str(story.second.process.pid) not in owners


def test_the_second_driver_goes_on_where_the_checkpoint_stands(story: Story) -> None:
    """A rank may end a step, with its checkpoint, while its driver is dying; only such a step nobody tells."""
    steps = story.second.steps()
    assert steps == sorted(set(steps)), "none is told twice"
    missing = set(range(1, max(steps) + 1)) - set(steps)
    assert missing <= {story.told_before + 1, story.told_before + 2}


def test_the_ledger_closes_and_no_sample_is_trained_twice(story: Story, tmp_path: Path) -> None:
    experience = _books(story.folder, tmp_path)
    experience.assert_closed()
    seen: dict[str, int] = {}
    for step, groups in experience.book.committed.items():
        for group in groups:
            for sample in group.samples:
                assert sample not in seen, f"{sample} was trained at steps {seen[sample]} and {step}"
                seen[sample] = step
    assert experience.book.next_step == max(story.second.steps())


def test_no_acknowledged_sample_of_the_first_driver_is_lost(story: Story, tmp_path: Path) -> None:
    """Every sample that the journal held when the driver was dead is counted on: trained, discarded for a reason, or in
    flight. And what was trained into weights that still exist stays trained."""
    before, after = story.books_before.book.ledger.accounts, _books(story.folder, tmp_path).book.ledger.accounts
    assert before
    for cell, account in before.items():
        assert after[cell].generated.samples >= account.generated.samples
        assert after[cell].generated.tokens >= account.generated.tokens
        assert after[cell].trained.samples >= account.trained.samples
        for reason, count in account.discarded.items():
            assert after[cell].discarded[reason].samples >= count.samples


def test_the_same_mlflow_run_goes_on(story: Story) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=tracking_uri("sqlite", story.folder.parent))
    run = client.get_run(story.mlflow_before)
    assert card(story.folder)["mlflow"] == story.mlflow_before
    assert run.data.tags["azr.starts"] == "2"
    assert run.info.status == "KILLED"
    told = {entry.step for entry in client.get_metric_history(story.mlflow_before, "learner/step")}
    assert set(story.second.steps()) <= told, "what the killed driver had not sent is sent by the next"
    assert len(client.search_runs([run.info.experiment_id])) == 1


def test_checkpoints_hold_everything(story: Story) -> None:
    newest = max((story.folder / "checkpoints").iterdir())
    assert read_state(newest).step == max(story.second.steps())
    assert (newest / TASKS).stat().st_size > 0
    (snapshot,) = [from_records(part)[0] for part in _parts((newest / EXPERIENCE).read_bytes())]
    assert isinstance(snapshot, events.Snapshot)
    assert snapshot.next_step == max(story.second.steps())


def _parts(content: bytes) -> list[list[bytes]]:
    return msgspec.msgpack.decode(content, type=list[list[bytes]])


def test_all_cells_were_trained_on_by_responses_within_the_bound(story: Story) -> None:
    lines = read_lines(story.folder / "metrics.jsonl")
    for kind in ("deduction", "abduction", "induction"):
        for role in ("propose", "solve"):
            assert sum(line.get(f"batch/sequences/{kind}/{role}") or 0.0 for line in lines) > 0.0
    ages = [value for line in lines for name, value in line.items() if name.startswith("off_policy/staleness/")]
    assert max(age for age in ages if age is not None) <= 4.0


def test_engine_and_learner_agree_on_fresh_tokens(story: Story) -> None:
    gaps = [line.get("off_policy/mismatch_k3") for line in read_lines(story.folder / "metrics.jsonl")]
    assert max((gap for gap in gaps if gap is not None), default=0.0) < 1e-6


def test_it_evaluated_before_and_seeded_itself_once(story: Story) -> None:
    first = read_evaluations(story.folder / "evaluations.jsonl")[0]
    assert first.step == 0
    assert {row.cell.partition("/")[2] for row in first.rows} == {"propose", "solve"}
    assert story.second.said.count("seed tasks in the buffers") == 1
    assert (story.folder / "seeds.jsonl").stat().st_size > 0


def test_tasks_that_were_trained_on_are_kept_for_people(story: Story) -> None:
    assert b'"task_type"' in (story.folder / "tasks.jsonl").read_bytes()
