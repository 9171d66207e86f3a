"""Numbers on the command line: what a command cannot use is refused in words, before it does or leaves anything."""

from __future__ import annotations

from argparse import ArgumentTypeError
from pathlib import Path

import pytest

from azr.cli.main import EXIT_USAGE, main
from azr.cli.numbers import positive, whole


def test_a_number_within_the_bounds_is_taken() -> None:
    assert [whole(1)("1"), whole(0, 7)("7"), positive()("1e-9"), positive(2.0)("2")] == [1, 7, 1e-9, 2.0]


@pytest.mark.parametrize("text", ["x", "0", "-1", "1.5", "", "1" * 5000], ids=lambda text: text[:5])
def test_what_is_no_whole_number_within_the_bounds_is_refused_in_words(text: str) -> None:
    with pytest.raises(ArgumentTypeError) as refused:
        whole(1, 99)(text)
    assert str(refused.value) == f"{text!r} is no whole number between 1 and 99"


@pytest.mark.parametrize("text", ["x", "0", "-1", "nan", "inf", "1e400", "3.1"])
def test_what_is_no_finite_number_above_0_is_refused_in_words(text: str) -> None:
    with pytest.raises(ArgumentTypeError) as refused:
        positive(3.0)(text)
    assert str(refused.value) == f"{text!r} is no number above 0 and at most 3"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["sft", "pairs", "--model=tiny", "--out=OUT", "--epochs=0"], "'0' is no number above 0"),
        (["sft", "pairs", "--model=tiny", "--out=OUT", "--epochs=nan"], "'nan' is no number above 0"),
        (["sft", "pairs", "--model=tiny", "--out=OUT", "--lr=nan"], "'nan' is no number above 0"),
        (["sft", "pairs", "--model=tiny", "--out=OUT", "--ranks=0"], "'0' is no whole number of at least 1"),
        (["sft", "pairs", "--model=tiny", "--out=OUT", "--warmup=-1"], "'-1' is no whole number of at least 0"),
        (["sft", "pairs", "--model=tiny", "--out=OUT", "--tokens-per-step=0"], "'0' is no whole number of at least 1"),
        (["sft", "pairs", "--model=tiny", "--out=OUT", "--longest=0"], "'0' is no whole number of at least 1"),
        (["sft", "pairs", "--model=tiny", "--out=OUT", "--budget=0"], "'0' is no whole number of at least 1"),
        (["sft", "pairs", "--model=tiny", "--out=OUT", "--seed=-1"], "'-1' is no whole number between 0 and 42949"),
        (["sft", "pairs", "--model=tiny", "--out=OUT", "--checkpoint-every=0"], "'0' is no whole number of at least"),
        (["tiny", "pretrain", "OUT", "--specimens=0"], "'0' is no whole number of at least 1"),
        (["tiny", "pretrain", "OUT", "--workers=0"], "'0' is no whole number of at least 1"),
        (["tiny", "pretrain", "OUT", "--seed=-1"], "'-1' is no whole number between 0 and 42949"),
        (["tiny", "evaluate", "tiny", "--workers=0"], "'0' is no whole number of at least 1"),
        (["tiny", "evaluate", "tiny", "--samples=-1"], "'-1' is no whole number of at least 0"),
        (["gate", "--memory-mb=95"], "'95' is no whole number between 96 and 1048576"),
        (["exec", "--memory-mb=99999999999999"], "'99999999999999' is no whole number between 1 and 1048576"),
        (["seed", "import", "in", "--output=OUT", "--memory-mb=95"], "'95' is no whole number between 96 and 1048576"),
        (["bench", "sum-tree", "--no-write", "--rounds=0"], "'0' is no whole number of at least 1"),
        (["bench", "sum-tree", "--no-write", "--tasks=0"], "'0' is no whole number of at least 100"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_commands_refuse_numbers_they_cannot_use_and_leave_nothing(
    words: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([word.replace("OUT", str(tmp_path / "out")) for word in words]) == EXIT_USAGE
    assert told in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
