"""Objects listed in an image become immortal, and nothing else in it changes."""

from __future__ import annotations

import numpy as np
import pytest

from sandbox_wasm.guest_build.image import IMMORTAL, MARK, immortalise

#: Words of an image: an object with 3 references at 0, one immortal already at 8, some data, the mark, the list.
OBJECT, ALREADY, DATA = 3, 7 << 28, 12345


def image_of(addresses: list[int], *, before: list[int] | None = None) -> bytes:
    words = before or [OBJECT, 1111, ALREADY, 2222, DATA, 5]
    listed = np.array([len(addresses), *addresses], dtype="<u4")
    return np.array(words, dtype="<u4").tobytes() + MARK + listed.tobytes() + b"after..."


def words_of(image: bytes) -> list[int]:
    return [int(word) for word in np.frombuffer(image, dtype="<u4")]


def test_listed_objects_become_immortal_and_the_list_is_wiped() -> None:
    done, count = immortalise(image_of([0, 8]))
    words = words_of(done)
    assert count == 1
    assert words[:6] == [IMMORTAL, 1111, ALREADY, 2222, DATA, 5]
    assert words[6:13] == [0] * 7
    assert done.endswith(b"after...")


def test_an_object_listed_twice_counts_once() -> None:
    assert immortalise(image_of([0, 0, 0]))[1] == 1


def test_what_is_no_count_is_left_alone() -> None:
    done, count = immortalise(image_of([0], before=[0xFFFFFFFF, 1, 2, 3]))
    assert (count, words_of(done)[0]) == (0, 0xFFFFFFFF)
    done, count = immortalise(image_of([0], before=[0, 1, 2, 3]))
    assert (count, words_of(done)[0]) == (0, 0)


def test_an_image_of_odd_length_is_padded() -> None:
    done, _ = immortalise(image_of([0]) + b"x")
    assert len(done) % 4 == 0


@pytest.mark.parametrize(
    ("image", "problem"),
    [
        (b"nothing here", "exactly one list"),
        (image_of([0]) + image_of([0]), "exactly one list"),
        (b"x" + image_of([0]), "not aligned"),
        (image_of([2]), "damaged"),
        (image_of([1 << 20]), "damaged"),
        (MARK + b"\xff\xff\0\0" + b"short...", "damaged"),
    ],
)
def test_a_list_that_cannot_be_trusted_stops_the_build(image: bytes, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        immortalise(image)
