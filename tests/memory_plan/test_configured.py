"""Every preset of a published model fits on the cards it is written for; other cards are refused with a way out."""

from __future__ import annotations

import pytest

from actors.engine.settings import EngineSettings
from azr.cli.main import main
from azr.config import load, preset_names
from azr.errors import AzrError
from azr.memory_plan import PUBLISHED
from azr.memory_plan.configured import engine_of, plan_memory
from azr.run.engines import transport_of

#: Presets of published models, and the cards of 80 GB that were published for each.
CARDS = {
    "qwen2.5-coder-3b": 2,
    "qwen2.5-coder-7b": 4,
    "qwen2.5-coder-14b": 8,
    "qwen2.5-7b": 4,
    "qwen2.5-14b": 8,
    "llama3.1-8b": 4,
    "qwen3-4b": 2,
    "qwen3-8b": 4,
}


@pytest.mark.parametrize("preset", CARDS)
def test_the_preset_fits_on_as_many_cards_as_were_published(preset: str) -> None:
    plan = plan_memory(load([preset]))
    assert plan.problems == (), "\n".join(plan.lines())
    assert plan.cards == CARDS[preset]
    assert plan.cached >= plan.engines.running // 8 * 1000, "an engine must hold what it samples at ordinary lengths"


@pytest.mark.parametrize("preset", CARDS)
def test_the_preset_leaves_a_gib_of_slack_on_each_learner_card(preset: str) -> None:
    plan = plan_memory(load([preset]))
    assert plan.card.memory - plan.learner.total >= 1 << 30, "\n".join(plan.lines())


def test_every_published_shape_has_a_preset_and_every_preset_its_model() -> None:
    models = {load([preset]).model.path for preset in CARDS}
    assert models <= set(PUBLISHED)
    assert set(PUBLISHED) - models == {"Qwen/Qwen2.5-3B"}, "the plain 3B shares its shape with the coder"
    assert set(CARDS) <= set(preset_names())


@pytest.mark.parametrize("preset", ["qwen3-4b", "qwen3-8b"])
def test_base_models_with_untrained_think_tokens_spell_them(preset: str) -> None:
    assert load([preset]).model.plain_tokens == ["<think>", "</think>"]


def test_smaller_cards_are_refused_with_a_way_out() -> None:
    with pytest.raises(AzrError, match=r"of a L40S.*(\n.*)*learner\.cpu_offload"):
        plan_memory(load(["qwen2.5-7b"]), "L40S").refuse()


def test_the_keys_of_engines_arrive_at_the_arithmetic() -> None:
    overrides = [
        "rollout.replicas=3",
        "rollout.separate_roles=true",
        "rollout.proposer_replicas=2",
        "rollout.gpus_per_replica=0.5",
        "rollout.kv_cache_mb=64",
        "rollout.max_sequences=7",
        "rollout.memory_fraction=0.5",
        "rollout.dtype=float32",
        "lengths.prompt=90",
        "lengths.content=100",
        "lengths.response=20",
    ]
    engine = engine_of(load(["qwen2.5-7b"], overrides))
    assert (engine.replicas, engine.tensor_parallel, engine.card_share) == (5, 1, 0.5)
    assert (engine.running, engine.share, engine.width, engine.sequence_tokens) == (7, 0.5, 4, 120)
    assert engine.cache == 64 << 20
    assert engine.batched_tokens == 8192


@pytest.mark.parametrize(
    ("overrides", "sent"),
    [
        ([], "by tensor"),
        (["weights.transport=shm"], "no"),
        (["cluster.learner_gpus=0"], "no"),
        (["rollout.gpus_per_replica=0.5", "rollout.kv_cache_mb=64"], "no"),
        (["rollout.gpus_per_replica=0.5", "rollout.kv_cache_mb=64", "weights.transport=nccl"], "by tensor"),
        (
            [
                "cluster.learner_gpus=0.5",
                "rollout.gpus_per_replica=0.25",
                "rollout.kv_cache_mb=64",
                "weights.transport=ipc",
                "learner.ranks=1",
            ],
            "whole",
        ),
        (["rollout.tensor_parallel=2", "rollout.gpus_per_replica=2"], "by tensor"),
    ],
)
def test_weights_are_sent_from_the_card_where_the_transport_is_nccl_or_ipc(overrides: list[str], sent: str) -> None:
    """`auto` is decided as the run and its engines decide it."""
    config = load(["qwen2.5-7b"], overrides)
    assert engine_of(config).sent == sent
    config.weights.transport = transport_of(config)
    settings = EngineSettings.of(config.model.path, config.rollout, config.weights, gpu=True)
    assert settings.transport == {"by tensor": "nccl", "whole": "ipc", "no": "shm"}[sent]


def test_engines_that_stand_by_or_may_be_added_take_cards_too() -> None:
    def cards(*overrides: str) -> float:
        return plan_memory(load(["qwen2.5-7b"], overrides)).cards

    assert cards("rollout.replicas=2") == cards() == 4.0
    assert cards("rollout.standby=1") == 5.0
    assert cards("rollout.max_replicas=3") == 5.0
    assert cards("rollout.separate_roles=true", "rollout.standby=1") == 7.0  # 2 + 2 solvers', 1 proposer's, 1 + 1


def test_versions_kept_and_the_next_lie_in_shared_memory_unless_they_have_a_folder() -> None:
    one = 2 * PUBLISHED["Qwen/Qwen2.5-7B"].published_parameters
    assert plan_memory(load(["qwen2.5-7b"])).versions == 3 * one
    assert plan_memory(load(["qwen2.5-7b"], ["weights.keep_versions=1"])).versions == 2 * one
    elsewhere = plan_memory(load(["qwen2.5-7b"], ["weights.folder=/shared"]))
    assert elsewhere.versions == 0
    assert "/dev/shm" not in "\n".join(elsewhere.lines())


def test_without_a_type_of_gpu_there_is_nothing_to_plan() -> None:
    with pytest.raises(AzrError, match=r"set cluster\.gpu"):
        plan_memory(load(["qwen2.5-7b"], ["cluster.gpu=''"]))


def test_the_command_prints_the_plan_and_fails_where_it_does_not_fit(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "memory", "--config", "qwen2.5-coder-3b"]) == 0
    assert "2 x H100-80GB" in capsys.readouterr().out
    assert main(["config", "memory", "--config", "qwen2.5-14b", "--gpu", "L4"]) == 1
    captured = capsys.readouterr()
    assert "DOES NOT FIT" in captured.out
    assert "learner.cpu_offload=true" in captured.err


def test_a_learner_on_cores_leaves_the_cards_to_the_engines() -> None:
    plan = plan_memory(load(["qwen2.5-7b"], ["cluster.learner_gpus=0"]))
    assert plan.problems == ()
    assert plan.cards == 2.0


def test_the_embedded_model_is_planned_by_its_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "memory", "--config", "tiny", "--gpu", "H100-80GB"]) == 0
    assert "2 x H100-80GB" in capsys.readouterr().out
    assert main(["train", "--config", "tiny", "--dry-run", "cluster.gpu=L4"]) == 0
    assert "2 x L4" in capsys.readouterr().out
