"""A learner step: right ratios, exact under any cut, deterministic, and safe against what it is fed."""

from __future__ import annotations

from dataclasses import replace
from functools import partialmethod
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch
import torch._dynamo

from azr.config.load import load
from azr.config.sections.algorithm import LossConfig, OptimiserConfig
from azr.config.sections.learner import LearnerConfig, LoraConfig
from learner import checkpoint
from learner.lora import insert_adapters
from learner.policy import Policy
from learner.process_group import group_of_one
from learner.samples import Sample, StepBatch, collate
from learner.trainer import Trainer, learning_rate, supervised
from learner.weights import whole_weights
from tests.learner.tiny import make_trainer, on_policy_batch, random_samples, save_tiny_model, tiny_policy


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("model"))


def snapshot(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in whole_weights(trainer.policy).items()}


def difference(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    return max(float((one[name] - other[name]).abs().max()) for name in one)


def test_a_micro_batch_scores_exactly_the_response_tokens(folder: Path) -> None:
    samples = random_samples(1, 3)
    batch = collate(samples, [(2,), (0,)], torch.device("cpu"))
    expected = np.concatenate([samples[2].response_ids, samples[0].response_ids])
    assert batch.targets.tolist() == expected.tolist()
    rows = np.concatenate(
        [part for index in (2, 0) for part in (samples[index].prompt_ids, samples[index].response_ids[:-1])]
    )
    assert batch.input_ids[0].tolist() == rows.tolist(), "a response's last token predicts nothing that counts"
    first, second = len(samples[2].prompt_ids) - 1, samples[2].inputs + len(samples[0].prompt_ids) - 1
    places = [
        *range(first, first + len(samples[2].response_ids)),
        *range(second, second + len(samples[0].response_ids)),
    ]
    assert batch.scored.tolist() == places
    assert batch.sequence.tolist() == [0] * len(samples[2].response_ids) + [1] * len(samples[0].response_ids)


def test_a_shared_prompt_lies_in_the_row_once_and_predicts_the_first_token_of_each_response() -> None:
    prompt = np.array([5, 6, 7], np.int32)
    samples = [
        Sample(prompt, np.array(response, np.int32), np.zeros(len(response), np.float32), 0.0)
        for response in ([1, 2, 3], [4], [8, 9])
    ]
    batch = collate(samples, [(0, 1, 2)], torch.device("cpu"))
    assert batch.input_ids[0].tolist() == [5, 6, 7, 1, 2, 8]
    assert batch.position_ids[0].tolist() == [0, 1, 2, 3, 4, 3]
    assert batch.targets.tolist() == [1, 2, 3, 4, 8, 9]
    assert batch.scored.tolist() == [2, 3, 4, 2, 2, 5]
    assert batch.sequence.tolist() == [0, 0, 0, 1, 2, 2]


@pytest.mark.parametrize("budget", [40, 4096])
def test_a_step_that_shares_prompts_is_the_step_that_does_not(folder: Path, budget: int) -> None:
    """The same weights after it, and the same numbers of it, whether groups fit into a micro-batch whole or not."""
    samples = [
        replace(sample, prompt_ids=own.prompt_ids)
        for own, sample in zip([s for s in random_samples(5, 4) for _ in range(6)], random_samples(6, 24), strict=True)
    ]
    trainers = [
        make_trainer(folder, learner=LearnerConfig(tokens_per_micro_batch=budget, share_prompts=share))
        for share in (True, False)
    ]
    shared, alone = (trainer.step(StepBatch(samples, 0)).metrics for trainer in trainers)
    assert shared["learner/computed_share"] < alone["learner/computed_share"] < 1.0
    for name in ("learner/loss", "learner/grad_norm", "learner/entropy", "off_policy/ess"):
        assert shared[name] == pytest.approx(alone[name], rel=1e-5, abs=1e-7)
    assert difference(snapshot(trainers[0]), snapshot(trainers[1])) <= 2e-5


def test_packed_scores_equal_those_of_plain_transformers(folder: Path) -> None:
    trainer = make_trainer(folder)
    samples = random_samples(2, 5)
    scores = trainer.score(StepBatch(samples, 0))
    model = tiny_policy(folder).language_model
    model.set_attn_implementation("eager")  # type: ignore[operator]
    for sample, score in zip(samples, scores, strict=True):
        ids = torch.tensor(np.concatenate([sample.prompt_ids, sample.response_ids]), dtype=torch.long)
        with torch.no_grad():
            log_p = model(input_ids=ids[None]).logits[0, :-1].log_softmax(-1)
        expected = log_p.gather(1, ids[1:, None]).squeeze(1)[len(sample.prompt_ids) - 1 :]
        torch.testing.assert_close(score, expected, atol=1e-5, rtol=1e-5)


def test_on_policy_the_first_ratio_is_one_and_later_mini_batches_are_clipped(folder: Path) -> None:
    trainer = make_trainer(folder, LossConfig(minibatches=4), lr=2e-2)
    report = trainer.step(on_policy_batch(trainer, count=32))
    assert abs(report.metrics["off_policy/k1"]) <= 1e-5
    assert report.metrics["off_policy/mismatch_k3"] <= 1e-8
    assert report.metrics["off_policy/ess"] == pytest.approx(1.0)
    assert report.metrics["learner/clip_low_fraction"] + report.metrics["learner/clip_high_fraction"] > 0.0


@pytest.mark.parametrize("loss", ["ppo", "decoupled_ppo"])
def test_with_one_mini_batch_on_policy_nothing_has_moved_and_nothing_is_clipped(folder: Path, loss: str) -> None:
    """Each token's ratio is 1 within 1e-5, not only their mean; with more mini-batches the later ones have moved."""
    weight = "none" if loss == "ppo" else "token_tis"
    trainer = make_trainer(folder, LossConfig(name=loss, weight=weight, minibatches=1), lr=2e-2)
    batch = on_policy_batch(trainer, count=32)
    for sample, score in zip(batch.samples, trainer.score(batch), strict=True):
        assert float(np.abs(np.exp(score.numpy() - sample.behaviour_logprobs) - 1.0).max()) <= 1e-5
    metrics = trainer.step(batch).metrics
    assert abs(metrics["learner/ppo_kl"]) <= 1e-6
    assert metrics["learner/ratio"] == pytest.approx(1.0, abs=1e-5)
    assert metrics["learner/clip_low_fraction"] == metrics["learner/clip_high_fraction"] == 0.0
    more = make_trainer(folder, LossConfig(name=loss, weight=weight, minibatches=4), lr=2e-2)
    assert more.step(on_policy_batch(more, count=32)).metrics["learner/ppo_kl"] > 1e-4


@pytest.mark.parametrize(
    "loss",
    [
        LossConfig(name="ppo", weight="none"),
        LossConfig(name="cispo", weight="none"),
        LossConfig(name="dppo_tv", weight="none"),
        LossConfig(proximal="interpolate"),
        LossConfig(),
    ],
    ids=["ppo", "cispo", "dppo_tv", "interpolate", "recompute"],
)
def test_every_loss_tells_the_gap_between_engine_and_learner_at_the_same_version(
    folder: Path, loss: LossConfig
) -> None:
    """A fifth of a nat is added to what the engine recorded: k1 and k3 at the same version say so, by hand."""
    trainer = make_trainer(folder, loss, lr=2e-2)
    batch = on_policy_batch(trainer, count=32)
    off = [replace(sample, behaviour_logprobs=sample.behaviour_logprobs + np.float32(0.2)) for sample in batch.samples]
    metrics = trainer.step(StepBatch(off, batch.step)).metrics
    assert metrics["off_policy/mismatch_k1"] == pytest.approx(0.2, abs=1e-5)
    assert metrics["off_policy/mismatch_k3"] == pytest.approx(np.exp(-0.2) - 1 + 0.2, abs=1e-5)


@pytest.mark.parametrize("caches_kept", [False, True])
def test_after_a_seam_tokens_count_as_mismatch_only_where_caches_were_made_anew(
    folder: Path, caches_kept: bool
) -> None:
    """Those that attend to old keys and values were sampled from no version's weights alone. Half of the responses
    begin with the weights before, and a fifth of a nat is added to what the engine recorded of these."""
    trainer = make_trainer(folder, LossConfig(name="ppo", weight="none"), caches_kept=caches_kept)
    batch = on_policy_batch(trainer, count=32, step=5)
    samples = [sample for sample in batch.samples if len(sample.response_ids) > 1]
    for sample in samples[::2]:
        sample.token_steps[0] = 4
        sample.behaviour_logprobs[:] += np.float32(0.2)
    mismatch = trainer.step(StepBatch(samples, 5)).metrics["off_policy/mismatch_k1"]
    assert mismatch == pytest.approx(0.0, abs=1e-5) if caches_kept else mismatch > 0.05


def test_tokens_of_other_weights_do_not_count_as_mismatch_and_supervised_pairs_as_nothing(folder: Path) -> None:
    old = make_trainer(folder, LossConfig(name="ppo", weight="none")).step(StepBatch(random_samples(16, step=3), 5))
    assert "off_policy/k1" in old.metrics
    assert "off_policy/mismatch_k1" not in old.metrics
    pairs = [replace(sample, token_steps=np.zeros(0, np.int64)) for sample in random_samples(16)]
    taught = make_trainer(folder, supervised(LossConfig())).step(StepBatch(pairs, 0))
    assert not any(name.startswith("off_policy/") for name in taught.metrics)


class TestAgainstAnEnumerablePolicy:
    """The whole trainer's gradient: every response of two tokens, counted as often as old weights sample it."""

    def gradient(self, folder: Path, loss: LossConfig, *, exactly: bool) -> torch.Tensor:
        old, now = make_trainer(folder, lr=1e-2), make_trainer(folder, loss, lr=0.0)
        now.policy.load_state_dict(self.moved(now))
        vocabulary = 12
        pairs = [(first, second) for first in range(vocabulary) for second in range(vocabulary)]
        bare = [
            Sample(np.array([60], np.int32), np.array(pair, np.int32), np.zeros(2, np.float32), 0.0) for pair in pairs
        ]
        logs = [score.numpy() for score in (now if exactly else old).score(StepBatch(bare, 0))]
        samples = [
            replace(sample, behaviour_logprobs=log, advantage=reward, weight=float(np.exp(log.sum())))
            for sample, log, reward in zip(
                bare, logs, [np.cos(first - 2 * second) for first, second in pairs], strict=True
            )
        ]
        now.step(StepBatch(samples, 0))
        return torch.cat([value.grad.flatten() for value in now.policy.parameters() if value.grad is not None])

    def moved(self, trainer: Trainer) -> dict[str, torch.Tensor]:
        """Weights some way off."""
        generator = torch.Generator().manual_seed(7)
        return {
            name: value + 0.6 * value.std() * torch.randn(value.shape, generator=generator) if value.ndim > 1 else value
            for name, value in trainer.policy.state_dict().items()
        }

    def test_corrected_it_is_that_of_fresh_data_and_uncorrected_it_is_another(self, folder: Path) -> None:
        plain = LossConfig(name="reinforce", weight="none", minibatches=1, aggregation="constant_length", tis_cap=1e6)
        exact = self.gradient(folder, plain, exactly=True)
        corrected = self.gradient(folder, replace(plain, weight="sequence_tis"), exactly=False)
        uncorrected = self.gradient(folder, plain, exactly=False)
        assert float((corrected - exact).norm() / exact.norm()) < 1e-3
        assert float((uncorrected - exact).norm() / exact.norm()) > 0.05


def test_weights_to_be_published_are_copies_that_no_later_step_changes(folder: Path) -> None:
    trainer = make_trainer(folder, lr=5e-3)
    given = whole_weights(trainer.policy)
    before = {name: value.clone() for name, value in given.items()}
    trainer.step(on_policy_batch(trainer))
    assert difference(before, given) == 0.0
    assert difference(before, whole_weights(trainer.policy)) > 0.0


def test_weights_to_be_published_are_rounded_as_the_engines_have_them(folder: Path) -> None:
    policy = make_trainer(folder).policy
    full, half = whole_weights(policy), whole_weights(policy, dtype="bfloat16")
    assert {value.dtype for value in half.values()} == {torch.bfloat16}
    assert all(torch.equal(half[name], full[name].to(torch.bfloat16)) for name in full)
    assert {value.dtype for value in whole_weights(policy).values()} == {torch.float32}


def test_the_weights_move_and_the_loss_of_good_responses_falls(folder: Path) -> None:
    trainer = make_trainer(folder, lr=5e-3)
    before = snapshot(trainer)
    batch = on_policy_batch(trainer)
    good = replace_advantages(batch, 1.0)
    first = sum(float(score.sum()) for score in trainer.score(good))
    trainer.step(good)
    assert difference(before, snapshot(trainer)) > 0.0
    assert sum(float(score.sum()) for score in trainer.score(good)) > first


def replace_advantages(batch: StepBatch, value: float) -> StepBatch:
    return StepBatch([replace(sample, advantage=value) for sample in batch.samples], batch.step)


@pytest.mark.parametrize("loss", ["ppo", "decoupled_ppo", "cispo", "gspo", "dppo_tv", "reinforce"])
def test_the_token_budget_changes_nothing(folder: Path, loss: str) -> None:
    """The same batch cut into few and many micro-batches leads to the same weights."""
    weight = "none" if loss in ("ppo", "cispo", "dppo_tv") else "token_tis"
    results = []
    for budget in (32, 1000):
        trainer = make_trainer(
            folder, LossConfig(name=loss, weight=weight), learner=LearnerConfig(tokens_per_micro_batch=budget)
        )
        trainer.step(StepBatch(random_samples(3), 0))
        results.append(snapshot(trainer))
    assert difference(results[0], results[1]) < 2e-6


def test_the_papers_ratio_is_one_whatever_the_engine_made_of_the_tokens(folder: Path) -> None:
    """Engine and learner differ by their arithmetic; the published ratio is between two passes of the trainer."""
    paper = load([], ["algorithm=paper"]).algorithm.loss
    report = make_trainer(folder, paper).step(StepBatch(random_samples(3), 0))
    assert report.metrics["off_policy/k3"] > 0.0, "the samples are not from these weights"
    assert report.metrics["learner/ratio"] == 1.0
    assert report.metrics["learner/clip_low_fraction"] == report.metrics["learner/clip_high_fraction"] == 0.0


def test_m2po_judges_the_whole_batch_however_it_is_cut(folder: Path) -> None:
    reports = [
        make_trainer(
            folder,
            LossConfig(masks=["m2po"], m2po_limit=0.01),
            learner=LearnerConfig(tokens_per_micro_batch=budget),
        ).step(StepBatch(random_samples(3), 0))
        for budget in (32, 1000)
    ]
    masked = [report.metrics["off_policy/m2po/m2po_masked_fraction"] for report in reports]
    assert 0.0 < masked[0] < 1.0
    assert masked[0] == masked[1]


def test_the_same_seed_gives_the_same_weights_and_another_order_does_not(folder: Path) -> None:
    def train(seed: int) -> dict[str, torch.Tensor]:
        trainer = make_trainer(folder, seed=seed)
        trainer.step(StepBatch(random_samples(4), 0))
        return snapshot(trainer)

    assert difference(train(0), train(0)) == 0.0
    assert difference(train(0), train(1)) > 0.0


@pytest.mark.parametrize("poison", [np.nan, -np.inf])
def test_a_poisoned_sample_is_dropped_and_counted_and_the_rest_trains(folder: Path, poison: float) -> None:
    samples = random_samples(5)
    logprobs = samples[3].behaviour_logprobs.copy()
    logprobs[0] = poison
    poisoned = [*samples[:3], replace(samples[3], behaviour_logprobs=logprobs), *samples[4:]]
    trainer = make_trainer(folder)
    report = trainer.step(StepBatch(poisoned, 0))
    assert report.dropped == {3: "nan_logprob" if np.isnan(poison) else "infinite_logprob"}
    assert report.samples == len(samples) - 1
    assert all(torch.isfinite(value).all() for value in snapshot(trainer).values())


def test_a_batch_of_which_nothing_is_left_changes_nothing(folder: Path) -> None:
    trainer = make_trainer(folder)
    before = snapshot(trainer)
    nothing = np.zeros(0, np.float32)
    empty = replace(random_samples(6, 1)[0], response_ids=np.zeros(0, np.int32), behaviour_logprobs=nothing)
    report = trainer.step(StepBatch([empty], 0))
    assert report.samples == 0
    assert difference(before, snapshot(trainer)) == 0.0


def test_an_infinite_gradient_stops_the_step_before_the_update(folder: Path) -> None:
    trainer = make_trainer(folder, LossConfig(minibatches=4))
    before = snapshot(trainer)
    with pytest.raises(FloatingPointError, match="mini-batch 1 of 4 of step 0 was not applied"):
        trainer.step(replace_advantages(StepBatch(random_samples(7), 0), float("inf")))
    assert difference(before, snapshot(trainer)) == 0.0


def test_an_infinite_gradient_of_a_later_mini_batch_is_called_that(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first has been applied by then, and the error does not say that nothing was."""
    trainer = make_trainer(folder, LossConfig(minibatches=2))
    norms = iter([torch.tensor(1.0), torch.tensor(float("nan"))])
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", lambda *_: next(norms))
    told = (
        "mini-batch 2 of 2 of step 5 was not applied, for its gradient's norm is nan: the ranks go back to the newest"
    )
    with pytest.raises(FloatingPointError, match=told):
        trainer.step(StepBatch(random_samples(7), 5))
    assert trainer.updates == 1


@pytest.mark.parametrize("loss", ["decoupled_ppo", "gspo", "cispo"])
def test_the_first_mini_batch_is_scored_once_and_a_pass_of_its_own_would_change_nothing(
    folder: Path, loss: str
) -> None:
    batch = StepBatch(random_samples(8, step=3), 5)
    trainers = [make_trainer(folder, LossConfig(name=loss, minibatches=2)) for _ in range(2)]
    trainers[1]._objective.whole_batch = True
    scored = [0, 0]

    def count(place: int) -> None:
        scored[place] += 1

    for place, trainer in enumerate(trainers):
        trainer.policy.register_forward_hook(lambda *_, place=place: count(place))
    once, twice = (trainer.step(batch).metrics for trainer in trainers)
    assert 4 * scored[0] == 3 * scored[1]
    assert once.keys() == twice.keys()
    for name, value in once.items():
        assert value == pytest.approx(twice[name], rel=1e-5, abs=1e-7), name
    assert difference(snapshot(trainers[0]), snapshot(trainers[1])) <= 1e-7


def test_interpolation_needs_no_proximal_pass_and_starts_at_ratio_one(folder: Path) -> None:
    trainer = make_trainer(folder, LossConfig(proximal="interpolate", minibatches=1))
    batch = StepBatch(random_samples(8, step=3), 5)
    report = trainer.step(batch)
    assert report.metrics["learner/ppo_kl"] == pytest.approx(0.0, abs=1e-6)
    assert report.metrics["off_policy/token_tis/weight"] > 0.0


def test_entropy_is_bounded_by_the_vocabulary_and_the_bonus_raises_it(folder: Path) -> None:
    def entropy_after(coefficient: float) -> float:
        trainer = make_trainer(folder, LossConfig(entropy_coefficient=coefficient, minibatches=1), lr=1e-2)
        batch = replace_advantages(StepBatch(random_samples(9), 0), 0.0)
        trainer.step(batch)
        return trainer.step(batch).metrics["learner/entropy"]

    assert 0.0 < entropy_after(0.0) < entropy_after(1.0) <= np.log(64) + 1e-4


def test_warm_up_is_linear_then_constant() -> None:
    config = OptimiserConfig(lr=1.0, warmup_steps=4)
    assert [learning_rate(config, updates) for updates in range(6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    assert learning_rate(OptimiserConfig(lr=0.5), 0) == 0.5


def test_decay_follows_a_cosine_to_a_tenth_and_stays_there() -> None:
    config = OptimiserConfig(lr=1.0, warmup_steps=2, decay_updates=12)
    # Half-way, at 2 + 5: .1 + .9 · .5.
    assert [learning_rate(config, updates) for updates in (1, 2, 7, 12, 50)] == pytest.approx(
        [1.0, 1.0, 0.55, 0.1, 0.1]
    )


class TestMemorySavers:
    @pytest.mark.parametrize("kind", ["selective", "full"])
    def test_checkpointing_changes_nothing(self, folder: Path, kind: str) -> None:
        def train(checkpointing: str) -> dict[str, torch.Tensor]:
            config = LearnerConfig(tokens_per_micro_batch=64, checkpointing=checkpointing)
            trainer = make_trainer(folder, learner=config)
            trainer.step(StepBatch(random_samples(10), 0))
            return snapshot(trainer)

        assert difference(train("none"), train(kind)) < 1e-6

    def test_keeping_parameters_in_host_memory_changes_nothing(self, folder: Path, tmp_path: Path) -> None:
        """Sharded, as under Ray: the steps, the weights that are published and those that a checkpoint brings back."""

        def train(offload: bool) -> tuple[dict[str, torch.Tensor], list[float]]:
            config = LearnerConfig(tokens_per_micro_batch=64, cpu_offload=offload)
            with group_of_one(torch.device("cpu")):
                trainer = make_trainer(folder, learner=config)
                norms = [trainer.step(StepBatch(random_samples(10), 0)).metrics["learner/grad_norm"]]
                root = tmp_path / str(offload)
                kept = checkpoint.save(root, trainer, checkpoint.LearnerState(1, trainer.updates, "m"))
                trainer = make_trainer(folder, learner=config)
                checkpoint.load(kept, trainer)
                norms.append(trainer.step(StepBatch(random_samples(11), 1)).metrics["learner/grad_norm"])
                return snapshot(trainer), norms

        (resident, norms), (offloaded, same) = train(False), train(True)
        assert difference(resident, offloaded) < 1e-6
        assert same == pytest.approx(norms, rel=1e-5)

    @pytest.mark.parametrize(
        "compiler", ["aot_eager", pytest.param("inductor", marks=[pytest.mark.soak, pytest.mark.timeout(900)])]
    )
    def test_compiling_changes_nothing(self, folder: Path, compiler: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Sharded, as under Ray. The default compiler takes two minutes; another stands in for it in the short form:
        what breaks is how layers are traced, and where their tracing breaks off."""

        def train(compiled: bool) -> dict[str, torch.Tensor]:
            with group_of_one(torch.device("cpu")):
                config = LearnerConfig(tokens_per_micro_batch=64, compile=compiled)
                trainer = make_trainer(folder, learner=config)
                trainer.step(StepBatch(random_samples(10, 4), 0))
                return snapshot(trainer)

        counters = torch._dynamo.utils.counters
        counters.clear()
        monkeypatch.setattr(torch.nn.Module, "compile", partialmethod(torch.nn.Module.compile, backend=compiler))
        compiled = train(True)
        assert counters["frames"]["ok"] > 0, "nothing was compiled"
        torch._dynamo.reset()
        assert difference(train(False), compiled) < 1e-5

    def test_frozen_parameters_stay(self, folder: Path) -> None:
        trainer = make_trainer(
            folder, learner=LearnerConfig(tokens_per_micro_batch=64, freeze=["model.embed_tokens.*", "*.mlp.*"])
        )
        before = snapshot(trainer)
        trainer.step(StepBatch(random_samples(11), 0))
        after = snapshot(trainer)
        for name, value in after.items():
            frozen = "embed_tokens" in name or ".mlp." in name or name == "lm_head.weight"
            assert torch.equal(value, before[name]) == frozen, name

    def test_a_pattern_that_matches_nothing_is_refused(self, folder: Path) -> None:
        with pytest.raises(ValueError, match="matches no parameter"):
            make_trainer(folder, learner=LearnerConfig(freeze=["nonsense.*"]))

    def test_freezing_everything_is_refused(self, folder: Path) -> None:
        with pytest.raises(ValueError, match="nothing is left to train"):
            make_trainer(folder, learner=LearnerConfig(freeze=["*"]))


class TestAdapters:
    CONFIG = LearnerConfig(tokens_per_micro_batch=64, lora=LoraConfig(rank=4, alpha=8.0))

    def test_before_training_the_policy_is_unchanged(self, folder: Path) -> None:
        batch = StepBatch(random_samples(12, 4), 0)
        plain, adapted = make_trainer(folder), make_trainer(folder, learner=self.CONFIG)
        for one, other in zip(plain.score(batch), adapted.score(batch), strict=True):
            torch.testing.assert_close(one, other)

    def test_the_merged_weights_score_as_the_adapted_policy_does(self, folder: Path, tmp_path: Path) -> None:
        trainer = make_trainer(folder, learner=self.CONFIG, lr=1e-2)
        batch = StepBatch(random_samples(13), 0)
        trainer.step(batch)
        weights = whole_weights(trainer.policy, lora_scale=2.0)
        plain = make_trainer(folder)
        assert set(weights) == set(whole_weights(plain.policy))
        plain.policy.language_model.load_state_dict(weights)
        for one, other in zip(trainer.score(batch), plain.score(batch), strict=True):
            torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)

    def test_only_adapters_are_trained(self, folder: Path) -> None:
        trainer = make_trainer(folder, learner=self.CONFIG)
        trained = [name for name, parameter in trainer.policy.named_parameters() if parameter.requires_grad]
        assert trained
        assert all(name.endswith((".up", ".down")) for name in trained)

    def test_frozen_layers_get_none(self, folder: Path) -> None:
        trainer = make_trainer(folder, learner=replace(self.CONFIG, freeze=["model.layers.0.*", "*.mlp.*"]))
        adapted = {
            name.removeprefix("language_model.").rpartition(".")[0]
            for name, parameter in trainer.policy.named_parameters()
            if parameter.requires_grad
        }
        assert adapted == {f"model.layers.1.self_attn.{name}_proj" for name in "qkvo"}

    def test_targets_that_are_all_frozen_are_refused(self, folder: Path) -> None:
        with pytest.raises(ValueError, match=r"learner\.freeze leaves none of learner\.lora\.targets"):
            make_trainer(folder, learner=replace(self.CONFIG, freeze=["model.layers.*"]))

    def test_the_output_layer_is_refused(self, folder: Path) -> None:
        with pytest.raises(ValueError, match=r"learner\.lora\.targets names lm_head, the output layer"):
            make_trainer(folder, learner=LearnerConfig(lora=LoraConfig(rank=2, targets=["q_proj", "lm_head"])))

    def test_a_target_that_names_nothing_is_refused_beside_others_that_do(self, folder: Path) -> None:
        with pytest.raises(ValueError, match=r"'v_porj' names no linear layer of this model; did you mean 'v_proj'\?"):
            make_trainer(folder, learner=LearnerConfig(lora=LoraConfig(rank=2, targets=["q_proj", "v_porj"])))

    def test_the_default_targets_are_those_that_a_model_has(self) -> None:
        """Fused layers have other names."""
        policy = torch.nn.Module()
        policy.q_proj, policy.gate_up_proj = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
        policy.language_model = SimpleNamespace(get_output_embeddings=lambda: None)  # type: ignore[assignment]
        assert insert_adapters(cast("Policy", policy), LoraConfig(rank=1)) == 1
        del policy.q_proj
        with pytest.raises(ValueError, match="'q_proj' names no linear layer"):
            insert_adapters(cast("Policy", policy), LoraConfig(rank=1))


def test_supervised_training_raises_the_likelihood_of_the_responses(folder: Path) -> None:
    trainer = make_trainer(folder, supervised(LossConfig()), lr=1e-2)
    batch = replace_advantages(StepBatch(random_samples(14), 0), 1.0)
    losses = [trainer.step(replace(batch, step=step)).metrics["learner/loss"] for step in range(10)]
    assert losses[-1] < losses[0] - 0.5


def test_a_model_that_changes_its_logits_is_refused(folder: Path) -> None:
    policy = tiny_policy(folder)
    policy.config.final_logit_softcapping = 30.0
    from learner.policy import Policy

    with pytest.raises(ValueError, match="final_logit_softcapping=30"):
        Policy(policy.language_model)


class TestOneRankWithoutRay:
    def test_a_group_of_one_gives_the_same_weights_as_no_group(self, folder: Path) -> None:
        plain = make_trainer(folder)
        plain.step(StepBatch(random_samples(15), 0))
        with group_of_one(torch.device("cpu")):
            sharded = make_trainer(folder)
            sharded.step(StepBatch(random_samples(15), 0))
            assert difference(snapshot(plain), snapshot(sharded)) < 1e-6
        assert not torch.distributed.is_initialized()

    def test_half_precision_over_full_master_weights_needs_it(self, folder: Path) -> None:
        config = LearnerConfig(tokens_per_micro_batch=64, compute_dtype="bfloat16")
        with pytest.raises(ValueError, match="begin a process group first"):
            make_trainer(folder, learner=config)
        with group_of_one(torch.device("cpu")):
            trainer = make_trainer(folder, learner=config)
            assert trainer.step(StepBatch(random_samples(15), 0)).samples == 12
            assert {value.dtype for value in whole_weights(trainer.policy).values()} == {torch.float32}
