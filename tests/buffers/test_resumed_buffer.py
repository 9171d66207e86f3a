"""Tasks after the learner went back to a checkpoint: their time runs from there, and not only once it is caught up."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from azr.buffers import TaskBuffer
from azr.game.types import Version
from tests.buffers.tasks import buffer_of, mass, names, rate, task

BACK = Version(1, 40)


def at_50(count: int = 0, **config: Any) -> TaskBuffer:
    """A buffer in the middle of step 50 of the first lineage."""
    buffer = buffer_of(count, **config)
    buffer.advance(50)
    return buffer


def resumed(buffer: TaskBuffer) -> TaskBuffer:
    buffer.resume(BACK)
    return buffer


class TestPublishedRule:
    """Solvers get tasks of the step before, whatever was proposed in steps that are undone."""

    def paper(self, *tasks: int) -> TaskBuffer:
        """Tasks named by the step that proposed them."""
        buffer = at_50(selection="uniform", rest_steps=1)
        buffer.add_many([task(step, step=step) for step in tasks])
        return buffer

    def test_what_the_first_step_after_it_proposes_is_solved_first_in_the_next(self) -> None:
        buffer = resumed(self.paper(45, 50))
        buffer.add(msgspec.structs.replace(task(140, step=40), born=BACK))
        assert sorted(names(buffer.draw(1, 0.0))) != [140], "it rests"
        buffer.advance(41)
        assert names(buffer.draw(1, 0.0)) == [140]

    def test_a_task_of_an_undone_step_that_comes_late_stands_in_nobodys_way(self) -> None:
        buffer = resumed(self.paper())
        buffer.add(task(49, step=49))
        buffer.add(msgspec.structs.replace(task(140, step=40), born=BACK))
        buffer.advance(41)
        assert names(buffer.draw(2, 0.0)) == [140, 49], "the first as new, the second to fill up"

    def test_what_was_proposed_just_before_is_new_again_though_it_had_become_too_old_for_that(self) -> None:
        buffer = self.paper(39, 20)
        assert buffer.draw_new(2) == [], "at step 50 both are replay"
        assert names(resumed(buffer).draw_new(2)) == [39]

    def test_what_is_proposed_after_the_resume_may_be_of_later_steps(self) -> None:
        buffer = resumed(self.paper())
        buffer.add(
            msgspec.structs.replace(task(141), born=Version(1, 41))
        )  # weights 41, of which it is told in a moment
        buffer.advance(41)
        assert names(buffer.draw_new(1)) == []
        buffer.advance(42)
        assert names(buffer.draw_new(1)) == [141]


def test_what_is_out_comes_back_in_time() -> None:
    buffer = at_50(1, out_steps=2)
    assert names(buffer.draw_new(1)) == [0]
    resumed(buffer).advance(42)
    assert buffer.draw_new(1) == []
    buffer.advance(43)
    assert names(buffer.draw_new(1)) == [0]


def test_what_was_rated_later_ages_from_now_on() -> None:
    buffer = at_50(1, age_half_life=32.0, out_steps=10_000)
    rate(buffer, 8, step=50)
    resumed(buffer).advance(72)
    assert mass(buffer) == pytest.approx(0.3), "of 32 steps, as worked out in test_priority, and not of 22"
    rate(buffer, 0, attempts=4, step=72)  # 4 right are left of 8, and 4 wrong are new
    assert mass(buffer) == pytest.approx(0.9)


def test_a_buffer_that_is_written_and_read_knows_what_was_undone() -> None:
    buffer = resumed(at_50(rest_steps=1))
    state = msgspec.msgpack.decode(msgspec.msgpack.encode(buffer.state()), type=type(buffer.state()))
    again = TaskBuffer.from_state(state, buffer.config)
    again.add(task(49, step=49))
    assert (again.step, again.lineage) == (40, 1)
    assert names(again.draw_new(1)) == [49], "it does not rest until step 50"
