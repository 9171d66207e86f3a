"""From nothing to a model folder: stage by stage, passed over when done, never continued by another recipe."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec
import psutil
import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from azr.cli.main import EXIT_INTERRUPTED, main
from azr.errors import AzrError
from azr.tiny.held_out import held_out_tasks
from azr.tiny.pretrain import Recipe, pretrain
from learner.supervised import read_pairs

SMALL = Recipe(
    specimens=120, epochs=2.0, tokens_per_step=1500, lr=5e-3, seed=0, hidden=64, layers=1, heads=2, feed_forward=96
)


@dataclass
class Made:
    folder: Path
    first: dict[str, int]
    """When each stage's file was last written."""


def written(folder: Path) -> dict[str, int]:
    return {
        name: (folder / name).stat().st_mtime_ns for name in ("corpus.jsonl", "shape/config.json", "model/config.json")
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("tiny")
    pretrain(folder, SMALL, workers=1)
    return Made(folder, written(folder))


def losses(folder: Path) -> list[float]:
    lines = (folder / "training" / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["learner/loss"] for line in lines]


def test_the_loss_falls_on_the_way(made: Made) -> None:
    found = losses(made.folder)
    assert sum(found[-3:]) / 3 < found[0] - 0.5


def test_the_model_and_its_tokenizer_load_and_fit_each_other(made: Made) -> None:
    model = AutoModelForCausalLM.from_pretrained(made.folder / "model")
    tokenizer = AutoTokenizer.from_pretrained(made.folder / "model")
    assert model.config.vocab_size == len(tokenizer) == 512
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id


def test_every_response_of_the_corpus_is_one_that_the_context_holds(made: Made) -> None:
    tokenizer = AutoTokenizer.from_pretrained(made.folder / "shape")
    longest = max(
        len(tokenizer(pair.prompt + pair.response)["input_ids"]) for pair in read_pairs([made.folder / "corpus.jsonl"])
    )
    assert longest < AutoModelForCausalLM.from_pretrained(made.folder / "model").config.max_position_embeddings


def test_what_is_done_is_passed_over(made: Made) -> None:
    steps = len(losses(made.folder))
    pretrain(made.folder, SMALL, workers=1)
    assert written(made.folder) == made.first
    assert len(losses(made.folder)) == steps


def test_a_lost_stage_is_made_again_alike(made: Made) -> None:
    corpus = made.folder / "corpus.jsonl"
    before = corpus.read_bytes()
    corpus.unlink()
    pretrain(made.folder, SMALL, workers=1)
    assert corpus.read_bytes() == before


def test_another_recipe_does_not_continue_it(made: Made) -> None:
    with pytest.raises(AzrError, match="begun with another recipe"):
        pretrain(made.folder, msgspec.structs.replace(SMALL, lr=1e-3), workers=1)


@pytest.mark.parametrize("written", [b"{", b'{"specimens": "\xff"}'], ids=["half of it", "no UTF-8"])
def test_a_recipe_that_was_damaged_is_told_by_its_file(written: bytes, tmp_path: Path) -> None:
    (tmp_path / "recipe.json").write_bytes(written)
    with pytest.raises(AzrError, match=r"recipe\.json cannot be read: "):
        pretrain(tmp_path, SMALL, workers=1)


def test_one_that_is_ended_while_it_writes_the_corpus_leaves_no_process_and_no_half_file(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "azr.cli.main", "tiny", "pretrain", str(tmp_path), "--workers", "1"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        deadline = time.monotonic() + 120
        while not list(tmp_path.glob(".corpus.jsonl.*.part")):
            assert process.poll() is None
            assert time.monotonic() < deadline, "waited 120 s for the corpus to be opened"
            time.sleep(0.05)
        descendants = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == EXIT_INTERRUPTED
    _, left = psutil.wait_procs(descendants, timeout=10)
    assert left == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["recipe.json", "run.lock"]


def test_the_corpus_is_searched_for_held_out_programs(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    corpus = str(made.folder / "corpus.jsonl")
    assert main(["tiny", "overlap", corpus, "--workers", "1"]) == 0
    assert "0 held-out programs" in capsys.readouterr().out


def test_and_one_that_is_there_fails_the_search(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    [task] = held_out_tasks("common", "deduction", 1)
    line = {"prompt": f"{task.program}\n#i 3\n#o\n", "response": "3"}
    (tmp_path / "bad.jsonl").write_text(json.dumps(line) + "\n")
    assert main(["tiny", "overlap", str(tmp_path / "bad.jsonl"), "--workers", "1"]) == 1
    assert "1 held-out programs" in capsys.readouterr().out
