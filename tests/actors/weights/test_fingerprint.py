"""The checksum of weights: it notices what can happen to tensors on their way, and does not depend on who sums."""

from __future__ import annotations

import hashlib
import os

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from actors.weights import fingerprint as module
from actors.weights.fingerprint import fingerprint, words_of


def _weights() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return {"a": torch.randn(8, 8), "b": torch.randn(64), "c": torch.randn(5).to(torch.bfloat16)}


def test_the_sums_are_those_worked_out_by_hand() -> None:
    # Words 1, 2, 3: plain 1+2+3 = 6, weighted by place 1·1+2·2+3·3 = 14.
    assert words_of(torch.tensor([1, 2, 3], dtype=torch.int32)) == f"{6:016x}{14:016x}"


def test_a_tail_shorter_than_a_word_counts() -> None:
    # One word of four ones (0x01010101 at place 1), then a tail of one byte: 7, weighted by its five bytes and one.
    word = 0x01010101
    tail = torch.tensor([1, 1, 1, 1, 7], dtype=torch.uint8)
    assert words_of(tail) == f"{word + 7:016x}{word + 7 * 6:016x}"


def test_the_order_of_tensors_does_not_matter() -> None:
    weights = _weights()
    assert fingerprint(weights.items()) == fingerprint(reversed(weights.items()))


def test_it_does_not_matter_how_many_words_are_summed_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = fingerprint(_weights().items())
    monkeypatch.setitem(module._WORDS, "cpu", 7)
    assert fingerprint(_weights().items()) == whole


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_it_does_not_matter_how_many_threads_sum(threads: int) -> None:
    weights = {f"w{number}": torch.randn(100 + number) for number in range(9)}
    lines = sorted(f"{name} torch.float32 {tuple(each.shape)} {words_of(each)}" for name, each in weights.items())
    alone = hashlib.blake2b("\n".join(lines).encode(), digest_size=16).hexdigest()
    assert fingerprint(weights.items(), threads=threads) == alone


@pytest.mark.parametrize(("cores", "threads"), [(1, 1), (2, 1), (4, 1), (8, 2), (16, 4), (192, 4)])
def test_a_small_machine_sums_by_one_thread(monkeypatch: pytest.MonkeyPatch, cores: int, threads: int) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    assert module._threads() == threads


def test_what_goes_wrong_in_a_thread_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Tensor) -> str:
        raise RuntimeError("no memory")

    monkeypatch.setattr(module, "words_of", broken)
    with pytest.raises(RuntimeError, match="no memory"):
        fingerprint(_weights().items())


def test_a_view_counts_as_what_it_shows() -> None:
    base = torch.arange(12, dtype=torch.float32).reshape(3, 4)
    assert words_of(base.T) == words_of(base.T.contiguous())
    assert words_of(base.view(-1)[1:]) == words_of(base.view(-1)[1:].clone())


@pytest.mark.parametrize(
    "damage",
    [
        lambda weights: weights.pop("b"),
        lambda weights: weights["a"].view(-1)[5].add_(1e-3),
        lambda weights: weights["b"].zero_(),
        lambda weights: weights.update(a=weights["a"].T),
        lambda weights: weights.update(a=weights["a"].flip(0)),
        lambda weights: weights.update(b=weights["b"].reshape(8, 8)),
        lambda weights: weights.update(b=weights["b"].view(torch.int32)),
        lambda weights: weights.update(a=weights["b"].reshape(8, 8), b=weights["a"].reshape(64)),
        lambda weights: weights.update(d=torch.zeros(1)),
        lambda weights: weights["c"][4].add_(1),
    ],
    ids=["lost", "one value", "zeroed", "transposed", "rows swapped", "shape", "dtype", "two swapped", "more", "tail"],
)
def test_damage_is_noticed(damage: object) -> None:
    weights = _weights()
    whole = fingerprint(weights.items())
    damage(weights)  # type: ignore[operator]
    assert fingerprint(weights.items()) != whole


@given(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=2, max_size=40), st.data())
def test_any_two_words_that_change_places_are_noticed(words: list[int], data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(words) - 2))
    second = data.draw(st.integers(first + 1, len(words) - 1))
    swapped = list(words)
    swapped[first], swapped[second] = swapped[second], swapped[first]
    same = words_of(torch.tensor(words, dtype=torch.int32)) == words_of(torch.tensor(swapped, dtype=torch.int32))
    assert same == (words[first] == words[second])
