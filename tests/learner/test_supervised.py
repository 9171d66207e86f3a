"""Supervised pairs: read strictly, tokenised once, taken in an order that a resume repeats."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from azr.cli import main as cli
from azr.cli.serve import model_folder as served_folder
from azr.cli.sft import Recipe
from azr.errors import AzrError
from azr.run.session import model_of
from azr.sole_writer import sole_writer
from azr.tiny import shipped
from azr.tiny.vocabulary import save_tokenizer, train_tokenizer
from azr.tokens import load_tokenizer, tokenizer_digest
from learner.checkpoint import LearnerState
from learner.loop import LearnerPlan
from learner.supervised import Pair, SupervisedSource, TokenPairs, load_pairs, read_pairs, tokenize
from tests.learner.plans import whole_checkpoint
from tests.learner.tiny import VOCABULARY, save_tiny_model
from tests.test_tokens import PLAIN, ids
from tests.test_tokens import save_tokenizer as save_special

PAIRS = [Pair(f"{a}+{b}=", str(a + b)) for a in range(6) for b in range(6)]


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer([pair.prompt + pair.response for pair in PAIRS])


def write(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join(lines))
    return path


class TestReading:
    def test_lines_of_several_files_follow_each_other_and_unknown_fields_are_passed_over(self, tmp_path: Path) -> None:
        first = write(tmp_path / "a", ['{"prompt": "a", "response": "b", "source": 3}', ""])
        second = write(tmp_path / "b", ['{"prompt": "c", "response": "d"}'])
        assert list(read_pairs([first, second])) == [Pair("a", "b"), Pair("c", "d")]

    @pytest.mark.parametrize("bad", ["{", '{"prompt": 1, "response": "x"}', '{"prompt": "x"}', "[]"])
    def test_a_bad_line_is_refused_with_its_file_and_number(self, tmp_path: Path, bad: str) -> None:
        path = write(tmp_path / "pairs", ['{"prompt": "a", "response": "b"}', bad])
        with pytest.raises(AzrError, match=r"pairs, line 2: "):
            list(read_pairs([path]))

    @pytest.mark.parametrize(
        "bad",
        [b'{"prompt": "\xff", "response": "x"}', b'{"prompt": "a", "response": "b", "more": ' + b"[" * 200_000],
        ids=["no UTF-8", "nested without end"],
    )
    def test_so_is_one_that_is_no_text_or_nested_without_end(self, tmp_path: Path, bad: bytes) -> None:
        path = tmp_path / "pairs"
        path.write_bytes(b'{"prompt": "a", "response": "b"}\n' + bad)
        with pytest.raises(AzrError, match=r"pairs, line 2: "):
            list(read_pairs([path]))


class TestTokens:
    def test_each_response_ends_with_the_end_token(self, tokenizer: PreTrainedTokenizerFast) -> None:
        pairs, skipped = tokenize(PAIRS, tokenizer, longest=100, chunk=5)
        assert skipped == 0
        assert len(pairs.bounds) == len(PAIRS)
        for index, pair in enumerate(PAIRS):
            sample = pairs.sample(index)
            assert tokenizer.decode(sample.prompt_ids) == pair.prompt
            assert tokenizer.decode(sample.response_ids[:-1]) == pair.response
            assert sample.response_ids[-1] == tokenizer.eos_token_id
            assert sample.advantage == 1.0

    def test_pairs_too_long_or_without_a_prompt_are_left_out_and_counted(
        self, tokenizer: PreTrainedTokenizerFast
    ) -> None:
        pairs, skipped = tokenize([Pair("1", "2"), Pair("1+" * 50, "2"), Pair("", "2")], tokenizer, longest=20)
        assert (len(pairs.bounds), skipped) == (1, 2)

    def test_special_tokens_that_the_run_to_come_spells_out_are_spelled_out_here(self, tmp_path: Path) -> None:
        save_special(tmp_path / "model")
        path = write(tmp_path / "pairs", ['{"prompt": "sort it<think>", "response": "x"}'])
        prompts = {}
        for plain in [(), PLAIN]:
            pairs = load_pairs([path], str(tmp_path / "model"), longest=100, tell=lambda _: None, plain=plain)
            prompts[plain] = pairs.sample(0).prompt_ids.tolist()
            assert prompts[plain] == ids(load_tokenizer(tmp_path / "model", plain), "sort it<think>")
        assert len(prompts[PLAIN]) > len(prompts[()])

    @pytest.mark.parametrize("written", ["", "<|begin|>"], ids=["plain", "by a chat template"])
    def test_prompts_begin_as_those_of_the_run_to_come_do(
        self, tokenizer: PreTrainedTokenizerFast, written: str
    ) -> None:
        """As Llama's: one token goes before every text, and a chat template writes it itself."""
        llama = copy.deepcopy(tokenizer)
        llama.add_special_tokens({"bos_token": "<|begin|>"})
        begin = llama.bos_token_id
        llama.backend_tokenizer.post_processor = TemplateProcessing(
            single="<|begin|> $A", special_tokens=[("<|begin|>", begin)]
        )
        pairs, _ = tokenize([Pair(f"{written}1+2=", "3")], llama, longest=20)
        assert pairs.sample(0).prompt_ids.tolist() == llama("1+2=")["input_ids"]
        assert pairs.sample(0).prompt_ids[0] == begin
        assert begin not in pairs.sample(0).response_ids

    def test_nothing_left_is_an_error_with_its_mend(self, tokenizer: PreTrainedTokenizerFast) -> None:
        with pytest.raises(AzrError, match="no pair is left") as refused:
            tokenize([Pair("", "2")], tokenizer, longest=20)
        assert "--longest and --budget" in refused.value.mend


class TestSource:
    @staticmethod
    def source(epochs: float = 2.0, seed: int = 0, tokens_per_step: int = 12) -> SupervisedSource:
        tokens = np.arange(40, dtype=np.int32)
        bounds = np.stack([np.arange(0, 40, 4), np.arange(1, 41, 4), np.arange(4, 44, 4)], axis=1)
        return SupervisedSource(TokenPairs(tokens, bounds), tokens_per_step=tokens_per_step, epochs=epochs, seed=seed)

    def taken(self, source: SupervisedSource, steps: range) -> list[int]:
        batches = [source.take(step) for step in steps]
        return [int(sample.prompt_ids[0]) // 4 for batch in batches if batch for sample in batch.samples]

    def test_an_epoch_takes_each_pair_once_and_the_next_in_another_order(self) -> None:
        source = self.source()
        order = self.taken(source, range(source.steps))
        assert len(order) == 20
        assert sorted(order[:10]) == sorted(order[10:]) == list(range(10))
        assert order[:10] != order[10:]

    @pytest.mark.parametrize("epochs", [1.0, 2.0, 2.5])
    def test_no_pair_is_left_out_at_the_end_and_no_step_is_much_smaller_than_another(self, epochs: float) -> None:
        source = self.source(epochs)
        sizes = [len(self.taken(source, range(step, step + 1))) for step in range(source.steps)]
        assert sum(sizes) == epochs * 10
        assert set(sizes) <= {2, 3}  # three fill a step

    def test_data_of_less_than_a_step_is_not_repeated_to_fill_it(self) -> None:
        source = self.source(1.0, tokens_per_step=1000)
        assert source.steps == 1
        assert sorted(self.taken(source, range(1))) == list(range(10))

    def test_any_step_can_be_taken_again_with_the_same_batch(self) -> None:
        first, whole = self.taken(self.source(), range(3)), self.taken(self.source(), range(7))
        assert self.taken(self.source(), range(3, 7)) == whole[len(first) :]

    def test_the_seed_decides_the_order(self) -> None:
        assert self.taken(self.source(seed=0), range(3)) != self.taken(self.source(seed=1), range(3))

    def test_after_the_last_step_there_is_nothing(self) -> None:
        assert self.source(epochs=0.3).take(1) is None


def test_azr_sft_trains_resumes_and_its_export_loads(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast, capsys: pytest.CaptureFixture[str]
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = save_tiny_model(tmp_path / "base")
    shrink_vocabulary(model, len(tokenizer))
    save_tokenizer(tokenizer, model)
    lines = [json.dumps({"prompt": pair.prompt, "response": pair.response}) for pair in PAIRS]
    pairs = write(tmp_path / "pairs.jsonl", lines)
    command = ["sft", str(pairs), "--model", str(model), "--out", str(tmp_path / "run"), "--tokens-per-step", "60"]
    command += ["--lr", "1e-2", "--warmup", "2", "--checkpoint-every", "5"]
    assert cli.main([*command, "--epochs", "2"]) == 0
    first = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert first[-1]["learner/loss"] < first[0]["learner/loss"]
    with sole_writer(tmp_path / "run"):
        assert cli.main([*command, "--epochs", "4"]) == cli.EXIT_ERROR, "another is at work there"
    assert "run is in use: process" in capsys.readouterr().err
    assert cli.main([*command, "--epochs", "4"]) == 0
    assert f"going on from step {len(first)}\n" in capsys.readouterr().out
    both = [json.loads(line)["step"] for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert both == list(range(1, both[-1] + 1))

    assert cli.main(["export", str(tmp_path / "run"), str(tmp_path / "out"), "--dtype", "float32"]) == 0
    AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert AutoTokenizer.from_pretrained(tmp_path / "out").decode([5, 6]) == tokenizer.decode([5, 6])


def test_what_azr_sft_spelled_as_text_is_so_wherever_its_weights_are_used(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    model = save_tiny_model(tmp_path / "base")
    shrink_vocabulary(model, len(save_special(model)))
    pairs = write(tmp_path / "pairs.jsonl", ['{"prompt": "sort it<think>", "response": "x"}'])
    run = tmp_path / "run"
    assert cli.main(["sft", str(pairs), "--model", str(model), "--out", str(run), "--plain-tokens", *PLAIN]) == 0
    assert cli.main(["export", str(run), str(tmp_path / "out"), "--dtype", "float32"]) == 0
    expected = ids(load_tokenizer(model, PLAIN))
    assert ids(AutoTokenizer.from_pretrained(tmp_path / "out")) == expected
    assert ids(AutoTokenizer.from_pretrained(served_folder(str(run), tmp_path / "served"))) == expected
    with model_of(str(run)) as evaluated:
        assert ids(AutoTokenizer.from_pretrained(evaluated)) == expected


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ([], "the model {model} cannot be loaded: "),
        (["config.json"], "{model} holds no weights"),
        (["config.json", "model.safetensors"], "the tokenizer of {model} cannot be loaded: "),
    ],
    ids=["no configuration", "no weights", "a damaged tokenizer"],
)
def test_azr_sft_tells_in_one_line_that_a_folder_holds_no_whole_model(
    files: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, pairs = tmp_path / "model", write(tmp_path / "pairs", ['{"prompt": "2+2=", "response": "4"}'])
    model.mkdir()
    (model / "tokenizer.json").write_text("{")
    for file in files:
        shutil.copy(shipped.folder() / file, model)
    assert cli.main(["sft", str(pairs), "--model", str(model), "--out", str(tmp_path / "run")]) == cli.EXIT_ERROR
    what, mend = capsys.readouterr().err.splitlines()
    assert what.startswith("azr: error: " + told.format(model=model))
    assert mend.startswith("  mend: name ")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("mark", ["run.json", "checkpoints/step_00000003/run_state.msgpack"])
def test_azr_sft_leaves_a_run_of_azr_train_as_it_is(
    mark: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It would train on from the run's weights, and delete the run's checkpoints as its own come."""
    pairs, run = write(tmp_path / "pairs", ['{"prompt": "2+2=", "response": "4"}'] * 9), tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    whole_checkpoint(run / "checkpoints", 3)
    (run / mark).touch()
    command = ["sft", str(pairs), "--model", "tiny", "--out", str(run), "--tokens-per-step", "1"]
    assert cli.main(command) == cli.EXIT_ERROR
    what, mend = capsys.readouterr().err.splitlines()
    assert what.startswith(f"azr: error: {run} holds a run of azr train")
    assert mend.startswith("  mend: name another folder as --out")
    assert [path.name for path in (run / "checkpoints").iterdir()] == ["step_00000003"]


def test_azr_sft_refuses_a_folder_that_is_further_than_its_pairs_lead(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Else it would train nothing, and say that it is done."""
    pairs, run = write(tmp_path / "pairs", ['{"prompt": "2+2=", "response": "4"}'] * 2), tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    whole_checkpoint(run / "checkpoints", 3)
    command = ["sft", str(pairs), "--model", "tiny", "--out", str(run), "--tokens-per-step", "1"]
    assert cli.main(command) == cli.EXIT_ERROR
    what, mend = capsys.readouterr().err.splitlines()
    assert f"{run} holds a checkpoint of step 3, and these pairs make 2 steps" in what
    assert "raise --epochs" in mend


class TestAnotherTraining:
    """Weights of one training, trained on as another's, would be a mixture that nobody asked for."""

    @pytest.fixture
    def command(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """A command that was given, and came as far as a first checkpoint."""

        def train(plan: LearnerPlan, _device: torch.device) -> None:
            plan.checkpoints.mkdir(exist_ok=True)
            whole_checkpoint(plan.checkpoints, len(list(plan.checkpoints.iterdir())) + 1)

        monkeypatch.setattr("learner.loop.run", train)
        pairs = write(tmp_path / "pairs", ['{"prompt": "2+2=", "response": "4"}'] * 9)
        write(tmp_path / "others", ['{"prompt": "2+2=", "response": "5"}'] * 9)
        shutil.copytree(shipped.folder(), tmp_path / "copy")
        command = ["sft", "--model", "tiny", "--out", str(tmp_path / "run"), "--tokens-per-step", "1", str(pairs)]
        assert cli.main(command) == 0
        return command

    @pytest.mark.parametrize(
        ("otherwise", "told"),
        [
            (["--lr", "1e-3", "--seed", "3"], "--lr 1e-05, --seed 0"),
            (["--tokens-per-step", "2", "--warmup", "1"], "--tokens-per-step 1, --warmup 20"),
            (["--model", "copy"], "--model tiny"),
            (["--random-weights"], "the weights of its model"),
            (["others"], "other pairs (FILE, --longest, --budget)"),
        ],
        ids=lambda words: words[0] if isinstance(words, list) else "",
    )
    def test_is_refused_with_what_differs(
        self,
        otherwise: list[str],
        told: str,
        command: list[str],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert cli.main([*command, *otherwise]) == cli.EXIT_ERROR
        what, mend = capsys.readouterr().err.splitlines()
        assert what == f"azr: error: {tmp_path / 'run'} holds another training, with {told}"
        assert mend.endswith("or name another folder as --out")
        assert len(list((tmp_path / "run" / "checkpoints").iterdir())) == 1

    def test_the_same_goes_on_and_says_from_where_also_by_another_road_to_the_model_and_for_more_epochs(
        self, command: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert cli.main([*command, "--model", str(shipped.folder()), "--epochs", "2", "--checkpoint-every", "9"]) == 0
        assert "going on from step 1\n" in capsys.readouterr().out

    def test_one_that_came_to_no_checkpoint_stands_in_nobodys_way(self, command: list[str], tmp_path: Path) -> None:
        shutil.rmtree(tmp_path / "run" / "checkpoints")
        assert cli.main([*command, "--lr", "1e-3"]) == 0
        assert cli.main([*command, "--lr", "1e-3"]) == 0
        assert cli.main(command) == cli.EXIT_ERROR

    @pytest.mark.parametrize(
        ("model", "tokenizer", "told"),
        [
            ("m", "", "--model m"),
            ("tiny", "other", "another tokenizer of its model"),
            ("tiny", tokenizer_digest(str(shipped.folder())), ""),
        ],
    )
    def test_a_folder_of_before_recipes_were_kept_is_known_by_its_checkpoints_model(
        self,
        model: str,
        tokenizer: str,
        told: str,
        command: list[str],
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        (tmp_path / "run" / "sft.json").unlink()
        state = LearnerState(1, 1, shipped.resolve(model), tokenizer=tokenizer)
        (tmp_path / "run" / "checkpoints" / "step_00000001" / "learner.json").write_bytes(msgspec.json.encode(state))
        assert cli.main(command) == (cli.EXIT_ERROR if told else 0)
        assert told in capsys.readouterr().err

    def test_a_model_whose_folder_has_moved_is_known_by_its_tokenizer(self, command: list[str], tmp_path: Path) -> None:
        """The checkpoint has the weights."""
        path = tmp_path / "run" / "sft.json"
        begun = msgspec.json.decode(path.read_bytes(), type=Recipe)
        path.write_bytes(msgspec.json.encode(msgspec.structs.replace(begun, model="/gone/base")))
        assert cli.main(command) == 0
        path.write_bytes(msgspec.json.encode(msgspec.structs.replace(begun, model="/gone/base", tokenizer="other")))
        assert cli.main(command) == cli.EXIT_ERROR

    def test_one_of_before_recipes_that_spelt_otherwise_is_another(self, command: list[str], tmp_path: Path) -> None:
        (tmp_path / "run" / "sft.json").unlink()
        state = LearnerState(1, 1, "tiny", plain_tokens=("<think>",))
        (tmp_path / "run" / "checkpoints" / "step_00000001" / "learner.json").write_bytes(msgspec.json.encode(state))
        assert cli.main(command) == cli.EXIT_ERROR

    def test_a_damaged_recipe_is_told_by_its_file(
        self, command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "run" / "sft.json").write_text("{")
        assert cli.main(command) == cli.EXIT_ERROR
        assert "sft.json cannot be read: " in capsys.readouterr().err


@pytest.mark.parametrize("ranks", ["1", "2"])
def test_azr_sft_tells_which_file_of_weights_is_damaged(
    ranks: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = save_tiny_model(tmp_path / "base")
    weights = model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    command = ["sft", str(tmp_path / "pairs.jsonl"), "--model", str(model), "--out", str(tmp_path / "run")]
    capsys.readouterr()  # what transformers says of writing it
    assert cli.main([*command, "--ranks", ranks]) == cli.EXIT_ERROR, "before any pair is read"
    what, mend = capsys.readouterr().err.splitlines()
    assert what.startswith(f"azr: error: {weights} cannot be read: ")
    assert mend.startswith("  mend: fetch or export this model once more")
    assert not (tmp_path / "run").exists()


def shrink_vocabulary(model: Path, size: int) -> None:
    """Give the model in a folder the vocabulary of another tokenizer."""
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(model)
    assert config.vocab_size == VOCABULARY
    config.vocab_size = size
    AutoModelForCausalLM.from_config(config).save_pretrained(model)
