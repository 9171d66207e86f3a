"""Samples of one prompt stay together: in mini-batches, in units, and in the tokens they take."""

from __future__ import annotations

import numpy as np
import pytest

from learner.prompt_groups import by_prompt, deal, tokens_of, units
from learner.samples import Sample


def sample(prompt: int, response: int, *, number: int = 0) -> Sample:
    """A response of so many tokens to a prompt of four, the first of which is `prompt`."""
    ids = np.array([prompt, 1, 2, 3], dtype=np.int32)
    return Sample(ids, np.zeros(response, np.int32), np.zeros(response, np.float32), 0.0, prompt=number)


def drawn(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_samples_are_grouped_by_prompt_in_the_order_of_their_first() -> None:
    samples = [sample(7, 1), sample(3, 1), sample(7, 2), sample(9, 1), sample(3, 3)]
    assert by_prompt(samples, range(5)) == [[0, 2], [1, 4], [3]]
    assert by_prompt(samples, [4, 2, 1]) == [[4, 1], [2]]


def test_tokens_alone_say_what_is_the_same_prompt() -> None:
    """Supervised pairs all carry the number 0; two groups of attempts at one task carry two."""
    samples = [sample(1, 1, number=0), sample(2, 1, number=0), sample(1, 1, number=5)]
    assert by_prompt(samples, range(3)) == [[0, 2], [1]]


def test_groups_are_dealt_whole_into_parts_of_nearly_equal_size() -> None:
    groups = [list(range(start, start + 8)) for start in range(0, 96, 8)]
    parts = deal(groups, 4, drawn())
    assert [len(part) for part in parts] == [24, 24, 24, 24]
    for part in parts:
        assert all({member // 8 * 8 + place for place in range(8)} <= set(part) for member in part)


def test_every_member_is_dealt_once_whatever_the_groups() -> None:
    generator = drawn(3)
    for _ in range(300):
        sizes = generator.integers(1, 9, generator.integers(1, 30))
        ends = np.cumsum(sizes)
        groups = [list(range(end - size, end)) for size, end in zip(sizes, ends, strict=True)]
        parts = deal(groups, int(generator.integers(1, 6)), generator)
        assert sorted(member for part in parts for member in part) == list(range(ends[-1]))
        assert all(parts)


def test_the_order_is_drawn_from_the_generator_alone() -> None:
    groups = [[place] for place in range(20)]
    assert deal(groups, 2, drawn(1)) == deal(groups, 2, drawn(1)) != deal(groups, 2, drawn(2))


def test_a_group_larger_than_a_part_is_cut() -> None:
    assert deal([[0, 1, 2, 3, 4, 5]], 3, drawn()) == [[0, 1], [2, 3], [4, 5]]


def test_fewer_members_than_parts_leave_no_part_empty() -> None:
    assert sorted(deal([[0], [1]], 4, drawn())) == [[0], [1]]


def test_a_unit_is_what_shares_a_prompt_as_far_as_the_budget_goes() -> None:
    """A prompt of 4, responses of 3: as a last token costs nothing, 4 + 2 + 2 is all that a budget of 9 holds."""
    samples = [sample(1, 3) for _ in range(5)]
    assert units(samples, range(5), 9, share=True) == [(0, 1), (2, 3), (4,)]
    assert units(samples, range(5), 100, share=True) == [(0, 1, 2, 3, 4)]
    assert units(samples, range(5), 100, share=False) == [(0,), (1,), (2,), (3,), (4,)]


@pytest.mark.parametrize(("responses", "tokens"), [((3,), 6), ((3, 1, 5), 4 + 2 + 0 + 4), ((0,), 4)])
def test_a_unit_takes_its_prompt_once(responses: tuple[int, ...], tokens: int) -> None:
    samples = [sample(1, response) for response in responses]
    assert tokens_of(samples, range(len(samples))) == tokens


def test_one_that_is_too_long_alone_is_left_for_packing_to_refuse() -> None:
    samples = [sample(1, 2), sample(1, 50), sample(1, 2)]
    assert units(samples, range(3), 10, share=True) == [(0,), (1,), (2,)]
