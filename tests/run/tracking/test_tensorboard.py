"""Event files of the TensorBoard tracker, read back with the package's own records."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog

from azr.metrics.told import EVALUATION_MARK, STEP_MARK
from azr.run.tracking.base import RunInfo
from azr.run.tracking.tensorboard import TensorboardTracker

RUN = RunInfo(name="r", folder="runs/r", parameters={"run.seed": "7"})


def _events(path: Path) -> Iterator[Any]:
    """Records: length, its checksum, content, its checksum."""
    content, place = path.read_bytes(), 0
    while place < len(content):
        (length,) = struct.unpack_from("<Q", content, place)
        yield Event.FromString(content[place + 12 : place + 12 + length])
        place += 16 + length


def _scalars(path: Path) -> list[tuple[int, str, float]]:
    return [
        (event.step, value.tag, value.simple_value)
        for event in _events(path)
        for value in event.summary.value
        if value.HasField("simple_value")
    ]


def _only(folder: Path) -> Path:
    [path] = folder.iterdir()
    return path


def test_each_number_is_a_scalar_of_its_step(tmp_path: Path) -> None:
    tracker = TensorboardTracker(tmp_path / "tensorboard")
    tracker.start(RUN)
    tracker.metrics(1, {STEP_MARK: 2.0, "batch/reward/deduction/solve": 0.5}, at=100.0)
    tracker.metrics(2, {STEP_MARK: 4.0}, at=102.0)
    tracker.finish("finished")
    path = _only(tmp_path / "tensorboard")
    assert "tfevents" in path.name, "or TensorBoard does not find it"
    assert _scalars(path) == [
        (1, STEP_MARK, 2.0),
        (1, "batch/reward/deduction/solve", 0.5),
        (2, STEP_MARK, 4.0),
    ]
    assert [event.wall_time for event in _events(path) if event.step] == [100.0, 100.0, 102.0]


def test_the_configuration_is_a_text(tmp_path: Path) -> None:
    tracker = TensorboardTracker(tmp_path)
    tracker.start(RUN)
    [text] = [value for event in _events(_only(tmp_path)) for value in event.summary.value]
    assert b"| run.seed | 7 |" in text.tensor.string_val[0]


def test_what_is_told_can_be_read_while_the_run_lasts(tmp_path: Path) -> None:
    tracker = TensorboardTracker(tmp_path)
    tracker.metrics(1, {STEP_MARK: 2.0}, at=1.0)
    assert _scalars(_only(tmp_path)) == [(1, STEP_MARK, 2.0)]


def test_steps_done_again_after_a_resume_take_the_place_of_those_before(tmp_path: Path) -> None:
    """TensorBoard drops what it read of a step at or after one at which a session starts. An evaluation starts none:
    it has the step of the report before it."""
    tracker = TensorboardTracker(tmp_path)
    tracker.metrics(10, {EVALUATION_MARK: 1.0}, at=1.0)
    tracker.metrics(11, {STEP_MARK: 2.0}, at=2.0)
    tracker.metrics(12, {STEP_MARK: 4.0}, at=3.0)
    starts = [event.step for event in _events(_only(tmp_path)) if event.session_log.status == SessionLog.START]
    assert starts == [11]


def test_a_full_disk_is_an_error_and_what_follows_goes_into_another_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker = TensorboardTracker(tmp_path)
    tracker.metrics(1, {STEP_MARK: 1.0}, at=1.0)
    torn = _only(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(EventsWriter, "flush", _full)
        with pytest.raises(OSError, match="No space"):
            tracker.metrics(2, {STEP_MARK: 2.0}, at=2.0)
    tracker.metrics(2, {STEP_MARK: 2.0}, at=2.0)
    tracker.finish("finished")
    [other] = set(tmp_path.iterdir()) - {torn}
    assert _scalars(other) == [(2, STEP_MARK, 2.0)]


def _full(_: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_run_that_ends_before_anything_was_told_leaves_nothing(tmp_path: Path) -> None:
    TensorboardTracker(tmp_path / "tensorboard").finish("failed")
    assert not (tmp_path / "tensorboard").exists()
