"""The task buffer as its users see it."""

from __future__ import annotations

from collections import Counter

import msgspec
import numpy as np
import pytest
from scipy import stats

from azr.buffers import BufferState, Estimate, Status, TaskBuffer
from azr.config.sections.buffers import BuffersConfig
from azr.game.types import Task, Version
from tests.buffers.tasks import buffer_of, mass, names, rate, task


class TestNewTasks:
    def test_come_first_in_the_order_of_arrival(self) -> None:
        buffer = buffer_of(5)
        rate(buffer, 4, 4)  # Rated without having been drawn: 0 and 1 are still new.
        assert names(buffer.draw(3, replay_share=0.0)) == [0, 1, 2]
        assert names(buffer.draw(3, replay_share=0.0)) == [3, 4]

    def test_are_out_until_their_attempts_came_back(self) -> None:
        buffer = buffer_of(2)
        assert names(buffer.draw(2, 0.0)) == [0, 1]
        assert buffer.draw(2, 0.0) == []
        rate(buffer, 4)
        assert names(buffer.draw(2, 0.0)) == [0]

    def test_given_back_are_first_again_in_their_old_order(self) -> None:
        buffer = buffer_of(4)
        drawn = buffer.draw(3, 0.0)
        buffer.give_back([drawn[2].id, drawn[0].id, drawn[0].id, "gone"])
        assert names(buffer.draw(4, 0.0)) == [0, 2, 3]

    def test_that_nobody_gave_back_come_back_by_themselves(self) -> None:
        buffer = buffer_of(1, out_steps=16)
        buffer.draw(1, 0.0)
        buffer.advance(16)
        assert buffer.draw(1, 0.0) == []
        buffer.advance(17)
        assert names(buffer.draw(1, 0.0)) == [0]

    def test_rated_by_estimates_count_as_new_for_a_while_only(self) -> None:
        for step, expected in ((1, [0]), (2, [])):
            buffer = buffer_of(1, new_steps=1)
            rate(buffer, 4)
            buffer.advance(step)
            assert names(buffer.draw_new(1)) == expected
            assert names(buffer.draw_replay(1)) == ([] if expected else [0])

    def test_given_back_when_not_out_change_nothing(self) -> None:
        buffer = buffer_of(2)
        buffer.give_back(["task-0"])
        assert names(buffer.draw(3, 0.0)) == [0, 1]


class TestTasksThatAreAttemptedAlready:
    def test_are_drawn_by_nobody_until_they_are_rated_and_then_by_priority(self) -> None:
        buffer = buffer_of(1)
        buffer.add_many([task(1)], out=True)
        assert names(buffer.draw(2, 0.0)) == [0]
        buffer.rate_many([Estimate("task-1", 4, 8, 0)])
        assert buffer.draw_new(1) == []
        assert names(buffer.draw_replay(1)) == [1]

    def test_come_back_as_new_when_nobody_rated_them(self) -> None:
        buffer = buffer_of(out_steps=2)
        assert buffer.add(task(0), out=True)
        buffer.advance(2)
        assert buffer.draw_new(1) == []
        buffer.advance(3)
        assert names(buffer.draw_new(1)) == [0]


class TestTasksThatRest:
    """The published rule: a step's solvers get tasks of the step before, filled up with uniform draws from the rest."""

    def paper(self, seeds: int) -> TaskBuffer:
        buffer = buffer_of(selection="uniform", rest_steps=1)
        assert all(buffer.add_many([task(number, step=-1) for number in range(seeds)]))
        return buffer

    def test_seeds_are_tasks_of_the_step_before_the_first(self) -> None:
        assert names(self.paper(4).draw(3, 0.0)) == [0, 1, 2]
        assert Task(id="seed", task_type="t", program="", inputs=(), outputs=()).born == Version(0, -1)

    def test_what_a_step_proposes_is_solved_from_the_next_on_and_first(self) -> None:
        buffer = self.paper(4)
        assert names(buffer.draw(2, 0.0)) == [0, 1]
        buffer.add_many([task(number, step=0) for number in (10, 11)])
        buffer.rate_many([Estimate("task-10", 4, 8, 0)])  # Rated or not: it rests.
        assert names(buffer.draw(4, 0.0)) == [2, 3], "only what was there before the step"
        buffer.advance(1)
        buffer.add_many([task(20, step=1)])
        assert names(buffer.draw(2, 0.0)) == [10, 11]

    def test_the_rest_is_drawn_uniformly_from_all_older_tasks_rated_or_not(self) -> None:
        drawn: Counter[int] = Counter()
        for seed in range(400):
            buffer = buffer_of(seed=seed, selection="uniform", rest_steps=1)
            buffer.add_many([task(number, step=-1) for number in range(4)])
            rate(buffer, 8)  # One of four is rated, and always solved.
            buffer.add_many([task(10, step=0)])
            buffer.advance(1)
            buffer.add_many([task(20, step=1)])
            first, *rest = names(buffer.draw(3, 0.0))
            assert first == 10
            drawn.update(rest)
        # Two of four each time: 200 expected, a deviation is 10.
        assert set(drawn) == {0, 1, 2, 3}
        assert all(abs(count - 200) < 45 for count in drawn.values()), drawn

    def test_what_has_rested_too_long_to_be_new_leaves_like_any_other(self) -> None:
        buffer = buffer_of(capacity=4, selection="uniform", rest_steps=1)
        buffer.add_many([task(number, step=-1) for number in range(2)])
        buffer.add_many([task(number, step=1) for number in (10, 11)])
        buffer.advance(2)
        rate(buffer, *([4] * 2))
        assert buffer.leaving_for(1) == ["task-0"]

    def test_that_are_attempted_already_stand_in_nobodys_way(self) -> None:
        buffer = self.paper(0)
        buffer.add(task(10, step=0), out=True)
        buffer.add(task(0, step=-1))
        assert names(buffer.draw(2, 0.0)) == [0]

    def test_are_shown_to_proposers_all_the_same(self) -> None:
        assert names(self.paper(1).references(1)) == [0]
        buffer = buffer_of(1, rest_steps=1)
        assert names(buffer.references(1)) == [0]
        assert buffer.draw(1, 0.0) == []


class TestShareOfReplay:
    @pytest.fixture
    def mixed(self) -> TaskBuffer:
        buffer = buffer_of(60, capacity=128)
        rated = buffer.draw(30, 0.0)
        buffer.rate_many(Estimate(one.id, 4, 8, 0) for one in rated)
        return buffer

    @pytest.mark.parametrize("size", [1, 2, 3, 8, 20])
    def test_holds_over_calls_of_any_size(self, mixed: TaskBuffer, size: int) -> None:
        drawn = [number for _ in range(20 // size) for number in names(mixed.draw(size, 0.25))]
        replayed = sum(number < 30 for number in drawn)
        assert replayed == int(len(drawn) * 0.25)

    def test_new_tasks_lead_the_batch(self, mixed: TaskBuffer) -> None:
        assert [number >= 30 for number in names(mixed.draw(8, 0.25))] == [True] * 6 + [False] * 2

    def test_replay_fills_in_for_missing_new_tasks(self, mixed: TaskBuffer) -> None:
        assert len(mixed.draw(50, 0.0)) == 50
        assert len(mixed.draw(50, 0.0)) == 10

    def test_new_tasks_fill_in_for_missing_replay(self) -> None:
        assert names(buffer_of(4).draw(4, 1.0)) == [0, 1, 2, 3]

    def test_nothing_comes_from_an_empty_buffer(self) -> None:
        buffer = buffer_of()
        assert buffer.draw(4, 0.5) == []
        assert buffer.references(3) == []
        assert mass(buffer) == 0.0


class TestPriority:
    def test_replay_draws_in_proportion_to_priority(self) -> None:
        buffer = buffer_of(3)
        rate(buffer, 4, 1, 0)  # 0.9, 0.5, 17/90
        counts = [0, 0, 0]
        for _ in range(1200):
            [drawn] = buffer.draw_replay(1)
            counts[names([drawn])[0]] += 1
            buffer.give_back([drawn.id])
        shares = np.array([0.9, 0.5, 17 / 90])
        assert stats.chisquare(counts, shares / shares.sum() * 1200).pvalue > 0.001

    def test_a_batch_holds_no_task_twice(self) -> None:
        buffer = buffer_of(20)
        rate(buffer, *[4] * 20)
        assert sorted(names(buffer.draw_replay(30))) == list(range(20))

    def test_mass_is_the_sum_of_priorities(self) -> None:
        buffer = buffer_of(2)
        rate(buffer, 4, 1)
        assert mass(buffer) == pytest.approx(0.9 + 0.5)
        buffer.draw_replay(2)
        assert mass(buffer) == 0.0

    def test_visits_lower_it(self) -> None:
        buffer = buffer_of(1)
        for visits in range(1, 4):
            assert len(buffer.draw(1, 1.0)) == 1
            buffer.rate_many([Estimate("task-0", 4, 8, 1000 * visits)])
            buffer.advance(1000 * visits)
            assert mass(buffer) == pytest.approx(0.9 * (1 + visits) ** -0.5)

    def test_a_draw_given_back_was_no_visit(self) -> None:
        buffer = buffer_of(1)
        rate(buffer, 4)
        buffer.give_back([buffer.draw_replay(1)[0].id])
        assert mass(buffer) == pytest.approx(0.9)

    def test_tasks_of_one_program_share_its_weight(self) -> None:
        buffer = buffer_of()
        buffer.add_many([task(number, program=7) for number in range(4)])
        rate(buffer, 4, 4, 4, 4)
        assert mass(buffer) == pytest.approx(4 * 0.9 * 4**-0.5)

    def test_estimates_age_as_the_learner_steps_on(self) -> None:
        buffer = buffer_of(1, age_half_life=32.0, out_steps=10_000)
        rate(buffer, 8)
        buffer.advance(32)
        assert mass(buffer) == pytest.approx(0.3)  # worked out in test_priority
        buffer.advance(5)
        assert buffer.step == 32, "the learner's steps do not run back"

    def test_evidence_adds_up_discounted_by_its_age(self) -> None:
        buffer = buffer_of(1, age_half_life=32.0)
        rate(buffer, 8, step=0)
        rate(buffer, 0, attempts=4, step=32)  # 4 right are left of 8, and 4 wrong are new: a = b = 4.5
        buffer.advance(32)
        assert mass(buffer) == pytest.approx(0.9)

    def test_an_estimate_that_comes_late_makes_the_last_one_no_older(self) -> None:
        buffer = buffer_of(1)
        rate(buffer, 4, step=10)
        rate(buffer, 0, attempts=0, step=3)
        buffer.advance(10)
        assert mass(buffer) == pytest.approx(0.9)

    def test_uniform_selection_weighs_all_alike(self) -> None:
        buffer = buffer_of(3, selection="uniform")
        rate(buffer, 4, 1, 0)
        assert mass(buffer) == 3.0

    def test_estimates_of_tasks_that_left_are_passed_over(self) -> None:
        buffer = buffer_of(1)
        assert buffer.rate_many([Estimate("gone", 4, 8, 0), Estimate("task-0", 4, 8, 0)]) == 1
        assert buffer.rate_many([]) == 0


class TestDuplicates:
    def test_the_same_task_enters_once(self) -> None:
        buffer = buffer_of()
        assert buffer.add_many([task(1), task(2), task(1)]) == [True, True, False]
        again = msgspec.structs.replace(task(1), id="another name")
        assert not buffer.add(again)
        assert len(buffer) == 2
        assert buffer.duplicates == 2

    def test_an_id_that_is_taken_is_refused_too(self) -> None:
        buffer = buffer_of(1)
        assert not buffer.add(msgspec.structs.replace(task(5), id="task-0"))

    def test_what_left_may_come_again(self) -> None:
        buffer = buffer_of(4, capacity=4)
        buffer.add(task(9))
        assert buffer.add(task(0))


class TestCapacity:
    def test_the_least_useful_leaves(self) -> None:
        buffer = buffer_of(4, capacity=4)
        rate(buffer, 4, 0, 1, 4)
        buffer.add(task(10))
        assert "task-1" not in buffer
        assert len(buffer) == 4
        assert buffer.evicted == 1

    def test_new_tasks_leave_only_when_nothing_rated_is_left_and_then_the_oldest(self) -> None:
        buffer = buffer_of(4, capacity=4)
        rate(buffer, 4)
        buffer.add(task(10))
        assert "task-0" not in buffer, "rated, though highly"
        buffer.add(task(11))
        assert "task-1" not in buffer
        assert names(buffer.draw(4, 0.0)) == [2, 3, 10, 11]

    def test_what_is_out_leaves_last(self) -> None:
        buffer = buffer_of(3, capacity=3)
        assert names(buffer.draw(1, 0.0)) == [0]
        buffer.add(task(10))
        assert "task-0" in buffer
        assert "task-1" not in buffer
        buffer.draw(2, 0.0)
        buffer.add(task(11))
        assert "task-0" not in buffer

    def test_what_is_out_for_another_visit_does_not_leave_before_the_rest(self) -> None:
        buffer = buffer_of(2, capacity=2)
        rate(buffer, 4, 4)
        [out] = buffer.draw_replay(1)
        buffer.add(task(10))
        assert out.id in buffer

    def test_a_large_buffer_makes_room_in_blocks(self) -> None:
        buffer = buffer_of(640, capacity=640)
        rate(buffer, *[number % 9 for number in range(640)])
        buffer.add(task(1000))
        assert len(buffer) == 640 - 10 + 1
        assert buffer.evicted == 10

    @pytest.mark.parametrize("selection", ["learnability", "uniform"])
    def test_filled_ten_times_over_fresh_tasks_keep_coming(self, selection: str) -> None:
        # The published buffer keeps its oldest tasks at capacity, and from then on trains on the same ones for ever.
        capacity, per_step = 128, 16
        buffer = buffer_of(capacity=capacity, out_steps=4, selection=selection)
        generator = np.random.default_rng(1)
        number = 0
        for step in range(10 * capacity // per_step):
            buffer.advance(step)
            assert all(buffer.add_many([task(number + index, step=step) for index in range(per_step)]))
            number += per_step
            drawn = buffer.draw(24, replay_share=0.25)
            ages = [step - one.born.step for one in drawn]
            assert sum(age == 0 for age in ages) == per_step, "all tasks of this very step are trained on"
            buffer.rate_many(Estimate(one.id, int(generator.binomial(8, 0.4)), 8, step) for one in drawn)
            assert len(buffer) <= capacity
        assert number == 10 * capacity
        assert buffer.evicted >= 9 * capacity - capacity // 4
        held = [buffer.task(f"task-{index}").born.step for index in range(number) if f"task-{index}" in buffer]
        assert max(held) == step
        assert np.mean(np.array(held) > step / 2) > 0.5, "most of what is held is of the second half"

    def test_of_equals_the_oldest_leaves(self) -> None:
        buffer = buffer_of(capacity=1024, selection="uniform")
        for step in range(200):
            buffer.advance(step)
            buffer.add_many([task(48 * step + index, step=step) for index in range(48)])
            buffer.rate_many(Estimate(one.id, 4, 8, step) for one in buffer.draw(48, 0.0))
        held = [number for number in range(200 * 48) if f"task-{number}" in buffer]
        assert min(held) >= 200 * 48 - 1024
        assert held == list(range(min(held), 200 * 48))

    def test_rated_but_never_drawn_tasks_stay_while_they_count_as_new(self) -> None:
        # Where ratings are not trained on, a task is rated before it is drawn for training.
        buffer = buffer_of(2, capacity=3, selection="uniform")
        rate(buffer, 4, 4)
        buffer.advance(2)
        buffer.add(task(2, step=2))
        buffer.rate_many([Estimate("task-2", 0, 8, 2)])
        buffer.add_many([task(3, step=2), task(4, step=2)])
        assert names(buffer.draw_new(3)) == [2, 3, 4]

    def test_with_little_rated_room_is_made_in_blocks_too(self) -> None:
        buffer = buffer_of(640, capacity=640)
        buffer.add(task(1000))
        assert buffer.evicted == 10
        assert names(buffer.draw(1, 0.0)) == [10]

    def test_what_leaves_can_be_asked_before_it_does(self) -> None:
        buffer = buffer_of(4, capacity=6)
        assert buffer.leaving_for(2) == []
        rate(buffer, 4, 4, 0)
        assert buffer.leaving_for(3) == ["task-2"]
        assert len(buffer) == 4
        buffer.evict(["task-2", "gone"])
        assert (len(buffer), buffer.evicted) == (3, 1)
        assert not buffer.leaving_for(3)

    def test_more_tasks_at_once_than_it_holds_leave_the_last_ones(self) -> None:
        buffer = buffer_of(2, capacity=4)
        assert all(buffer.add_many([task(number) for number in range(10, 20)]))
        assert names(buffer.draw(9, 0.0)) == [16, 17, 18, 19]

    def test_programs_are_counted_while_they_are_held(self) -> None:
        buffer = buffer_of(capacity=4)
        buffer.add_many([task(number, program=number // 2) for number in range(4)])
        assert buffer.status().programs == 2
        for number in range(10, 14):
            buffer.add(task(number))
        assert buffer.status().programs == 4

    def test_entries_of_tasks_that_left_do_not_pile_up(self) -> None:
        buffer = buffer_of(capacity=4)
        for number in range(100):
            buffer.add(task(number))
        buffer.advance(1)
        assert len(buffer._new) == 4
        assert names(buffer.draw(9, 0.0)) == [96, 97, 98, 99]


class TestAStep:
    """Of the learner: what it works out, it works out for what is or was held, and not for room never used."""

    @staticmethod
    def assert_weighed(buffer: TaskBuffer) -> None:
        """All weights are those of the rows, of every slot there is."""
        rows = buffer._table.rows
        assert buffer._training.weights.tolist() == buffer._priorities(rows).tolist()
        assert buffer._reference.weights.tolist() == buffer._recencies(rows).tolist()

    @pytest.mark.parametrize("selection", ["learnability", "uniform"])
    def test_weighs_all_tasks_whatever_came_and_left(self, selection: str) -> None:
        buffer = buffer_of(10, capacity=1000, selection=selection)
        for step in range(1, 20):
            rate(buffer, *range(step % 9), step=step)
            buffer.evict([f"task-{step}", f"task-{9 - step % 10}"])
            buffer.add_many([task(100 * step + number, step=step) for number in range(step % 4)])
            buffer.advance(step)
            self.assert_weighed(buffer)

    def test_looks_at_no_slot_beyond_the_highest_ever_used(self, monkeypatch: pytest.MonkeyPatch) -> None:
        buffer = buffer_of(10, capacity=1000)
        buffer.evict(["task-9", "task-0"])
        weighed = []
        monkeypatch.setattr(buffer, "_recencies", lambda rows: weighed.append(len(rows)) or np.ones(len(rows)))
        buffer.advance(1)
        buffer.add_many([task(number) for number in range(20, 23)])
        buffer.advance(2)
        assert weighed == [10, 3, 11], "the three took the two slots that came free, and the next"

    def test_after_reading_back_looks_at_all_that_is_held(self) -> None:
        buffer = buffer_of(8, capacity=16)
        buffer.evict(["task-7", "task-2"])
        again = TaskBuffer.from_state(buffer.state(), buffer.config)
        assert len(again._table.used) == 7
        for number in range(40):  # until the entries of those that left, in slots not used again yet, are cleared away
            again._new.append((7, number))
        again.advance(3)
        self.assert_weighed(again)
        assert names(again.draw(9, 0.0)) == [0, 1, 3, 4, 5, 6]
        again.add_many([task(number, step=3) for number in range(20, 30)])
        again.advance(4)
        self.assert_weighed(again)
        assert len(again._table.used) == 16


class TestReferences:
    def test_are_different_tasks(self) -> None:
        buffer = buffer_of(30)
        shown = buffer.references(6)
        assert len(set(names(shown))) == 6

    def test_are_all_there_is_when_there_is_little(self) -> None:
        assert sorted(names(buffer_of(3).references(6))) == [0, 1, 2]

    def test_show_no_program_twice_while_there_is_another(self) -> None:
        buffer = buffer_of(reference_pool=16)
        buffer.add_many([task(number, program=number // 8) for number in range(48)])
        for _ in range(20):
            assert len({one.program for one in buffer.references(3)}) == 3

    def test_prefer_recent_tasks_but_keep_old_ones_in_view(self) -> None:
        buffer = buffer_of(capacity=128, reference_half_life=8.0, reference_pool=1)
        buffer.add_many([task(number, step=number) for number in range(100)])
        buffer.advance(99)
        shown = np.array([number for _ in range(500) for number in names(buffer.references(2))])
        recent, old = np.mean(shown >= 80), np.mean(shown < 50)
        # Weights: ~ 0.1 each for the 50 oldest, 0.1 + 0.9·2^(-age/8) for the rest; 50·0.1 of 10 + 10.8 in all.
        assert recent > 0.5
        assert 0.15 < old < 0.35

    def test_with_a_floor_of_one_are_uniform(self) -> None:
        buffer = buffer_of(capacity=16, reference_floor=1.0, reference_pool=1)
        buffer.add_many([task(number, step=number) for number in range(10)])
        buffer.advance(500)
        counts = np.bincount([names(buffer.references(1))[0] for _ in range(1000)], minlength=10)
        assert stats.chisquare(counts).pvalue > 0.001

    def test_may_be_new_out_or_rated(self) -> None:
        buffer = buffer_of(3)
        buffer.draw(2, 0.0)
        rate(buffer, 4)
        assert sorted(names(buffer.references(3))) == [0, 1, 2]


class TestWrittenAndRead:
    def played(self, seed: int = 3) -> TaskBuffer:
        buffer = buffer_of(capacity=64, seed=seed)
        generator = np.random.default_rng(4)
        for step in range(30):
            buffer.advance(step)
            buffer.add_many([task(8 * step + index, program=8 * step // 3 + index, step=step) for index in range(8)])
            drawn = buffer.draw(10, 0.4)
            buffer.rate_many(Estimate(one.id, int(generator.integers(9)), 8, step) for one in drawn[:-2])
            buffer.give_back(one.id for one in drawn[-2:-1])
            buffer.references(4)
        return buffer

    @staticmethod
    def again(buffer: TaskBuffer) -> TaskBuffer:
        written = msgspec.msgpack.encode(buffer.state())
        return TaskBuffer.from_state(msgspec.msgpack.decode(written, type=BufferState), buffer.config)

    def test_the_next_thousand_draws_are_the_same(self) -> None:
        buffer = self.played()
        twin = self.again(buffer)
        assert twin.status() == buffer.status()
        generator = np.random.default_rng(5)
        drawn = 0
        while drawn < 1000:
            step, number = 30 + drawn // 8, 1000 + drawn
            for one in (buffer, twin):
                one.advance(step)
                one.add_many([task(number + index, step=step) for index in range(5)])
            mine, theirs = buffer.draw(9, 0.5), twin.draw(9, 0.5)
            assert names(mine) == names(theirs)
            assert names(buffer.references(5)) == names(twin.references(5))
            estimates = [Estimate(one.id, int(generator.integers(9)), 8, step) for one in mine[:-1]]
            assert buffer.rate_many(estimates) == twin.rate_many(estimates)
            drawn += len(mine)
        assert twin.state() == buffer.state()

    def test_writing_draws_nothing(self) -> None:
        buffer, untouched = self.played(), self.played()
        buffer.state()
        assert names(buffer.draw(20, 0.5)) == names(untouched.draw(20, 0.5))

    def test_another_seed_draws_otherwise(self) -> None:
        assert names(self.played(3).references(6)) != names(self.played(4).references(6))

    def test_another_capacity_or_schema_is_refused(self) -> None:
        state = self.played().state()
        with pytest.raises(ValueError, match="written with capacity 64, not 32"):
            TaskBuffer.from_state(state, BuffersConfig(capacity=32))
        with pytest.raises(ValueError, match="schema 99"):
            TaskBuffer.from_state(msgspec.structs.replace(state, schema=99), BuffersConfig(capacity=64))

    def test_a_generator_whose_state_could_not_be_written_is_refused(self) -> None:
        with pytest.raises(TypeError, match="default_rng"):
            TaskBuffer(BuffersConfig(capacity=4), np.random.Generator(np.random.MT19937(0)))


def test_what_a_person_watches() -> None:
    buffer = buffer_of(4)
    buffer.draw(2, 0.0)
    rate(buffer, 4)
    buffer.advance(2)
    status = buffer.status()
    assert status._replace(mean_learnability=0.0) == Status(
        tasks=4,
        new=2,
        out=1,
        programs=4,
        evicted=0,
        duplicates=0,
        mean_visits=0.5,
        mean_estimate_age=2.0,
        mean_learnability=0.0,
    )
    assert status.mean_learnability == pytest.approx(0.9, abs=0.02)
    assert buffer_of().status() == Status(0, 0, 0, 0, 0, 0, 0.0, 0.0, 0.0)


def test_a_task_is_found_by_its_id() -> None:
    buffer = buffer_of(2)
    assert buffer.task("task-1") == task(1)
    with pytest.raises(KeyError):
        buffer.task("gone")
