"""A batch made ready for the learner: rewards, advantages and loss weights worked out by hand."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import msgspec
import numpy as np
import pytest

from azr.config.sections.algorithm import AlgorithmConfig, TermConfig
from azr.game.types import Attempt, Cell, Trajectory, Version
from azr.game.wire import decode, encode
from azr.ledger.experience import Item
from azr.metrics import Accumulator
from azr.run.batches import Memory, Prepared, prepare, token_steps
from azr.staleness.bound import Ancestry, StalenessError
from tests.rewards.examples import facts
from tests.run.items import attempts, proposal, spans, trajectory

#: The oldest data that a step may get.
MAX_STALENESS = 4


def algorithm() -> AlgorithmConfig:
    config = AlgorithmConfig()
    config.game.task_types = ["deduction"]
    config.rating.attempts = config.batch.attempts_per_task = 2
    config.batch.propose, config.batch.solve = 2, 4
    return config


def ready(
    items: list[Item],
    memory: Memory | None = None,
    *,
    step: int = 0,
    config: AlgorithmConfig | None = None,
    ancestry: Ancestry | None = None,
) -> Prepared:
    lineage = ancestry.lineage if ancestry else 0
    return prepare(
        items,
        Version(lineage, step),
        ancestry or Ancestry(),
        config or algorithm(),
        MAX_STALENESS,
        memory or Memory(),
        seed=7,
    )


def usual() -> list[Item]:
    """Two proposals (one learnable, one refused), a rating with one of two right, a replay with both right."""
    return [
        proposal("p1", rating=(1, 2)),
        proposal("p2", rating=None),
        *attempts("p1/rating", [1.0, -0.5]),
        *attempts("old", [1.0, 1.0], kind="replay"),
    ]


def test_a_batch_by_hand() -> None:
    """Proposals: learnability 4·1·1/(2·1) = 2 and -1 for the refused; mean ½, variance 4.5: ±1.5/√4.5.

    Attempts: mean .625, variance .5625 in the cell; against the other attempt ±1.5, over .75: ±2. Both right: no
    gradient, left out.
    """
    samples = ready(usual()).batch.samples
    expected = [1.5 / math.sqrt(4.5), -1.5 / math.sqrt(4.5), 2.0, -2.0]
    assert [sample.advantage for sample in samples] == pytest.approx(expected, rel=1e-6)
    assert [sample.weight for sample in samples] == [1.0] * 4
    assert [len(sample.response_ids) for sample in samples] == [2] * 4
    assert [sample.prompt for sample in samples] == [0, 1, 2, 2], "attempts at one task share a prompt"


def test_baselines_go_on_and_an_abandoned_batch_leaves_them_as_they_were() -> None:
    memory = Memory()
    first = ready(usual(), memory)
    assert memory.baselines.of(Cell("deduction", "propose")) is None
    kept = first.memory.baselines.of(Cell("deduction", "propose"))
    assert kept is not None
    assert (kept.mean, kept.variance, kept.sequences) == pytest.approx((0.5, 4.5, 2))
    second = ready(usual(), first.memory, step=1)
    # (2 · batch + 32 · running) / 34 with equal moments changes nothing
    assert second.batch.samples[0].advantage == pytest.approx(1.5 / math.sqrt(4.5))
    again = second.memory.baselines.of(Cell("deduction", "propose"))
    assert again is not None
    assert again.sequences == 4


def test_memories_of_reward_terms_go_on() -> None:
    """Rarity of an answer: 1 when nothing was seen, 0 once it was all that was ever seen; half of it counts."""
    config = algorithm()
    config.proposer_reward.terms = {"answer_diversity": TermConfig(coefficient=0.5)}
    first = ready(usual(), config=config)
    assert first.metrics.report()["reward/mean/deduction/propose"] == pytest.approx((2.5 - 1.0) / 2)
    second = ready(usual(), first.memory, step=1, config=config)
    assert second.metrics.report()["reward/mean/deduction/propose"] == pytest.approx((2.0 - 1.0) / 2)
    assert set(first.memory.terms) == {"answer_diversity"}


def test_terms_judge_by_the_facts_that_proposals_bring_along() -> None:
    """Learnability 2; cognitive complexity 6 of 15; half of the nodes are those of the one program shown."""
    config = algorithm()
    config.proposer_reward.terms = {"complexity": TermConfig(coefficient=0.5), "edit_distance": TermConfig(0.5)}
    mine, other = facts(cognitive=6, tokens=("a", "b")), facts(tokens=("b", "c"))
    items = [proposal("p1", rating=(1, 2), facts=mine, shown=(other,)), *attempts("p1/rating", [1.0, -0.5])]
    report = ready(items, config=config).metrics.report()
    assert report["reward/mean/deduction/propose"] == pytest.approx(2.0 + 0.5 * 6 / 15 + 0.5 * 0.5)


def test_an_induction_is_not_paid_for_the_program_that_it_was_given() -> None:
    """Its program is the one shown: complex by the luck of the draw, and no distance from itself."""
    config = algorithm()
    config.game.task_types = ["deduction", "induction"]
    config.proposer_reward.terms = {"complexity": TermConfig(coefficient=0.5), "edit_distance": TermConfig(0.5)}
    given = facts(cognitive=6)
    item = proposal("p1", rating=(1, 2), facts=given, shown=(given,), task_type="induction")
    report = ready([item], config=config).metrics.report()
    assert report["reward/mean/induction/propose"] == 2.0
    assert not any(name.startswith("reward/term") for name in report)


def test_answers_count_within_their_types() -> None:
    """The one task of step 0 gives an int; of step 1 as well: neither its type nor its value is rare any more."""
    config = algorithm()
    config.proposer_reward.terms = {"answer_type_diversity": TermConfig(coefficient=0.5)}
    first = ready(usual(), config=config)
    assert first.metrics.report()["reward/mean/deduction/propose"] == pytest.approx((2.5 - 1.0) / 2)
    assert b"int" in first.memory.terms["answer_type_diversity"]


def test_loss_weights_follow_lambda_and_cells() -> None:
    config = algorithm()
    config.batch.solve_lambda = 0.5
    config.batch.cell_weights = {"deduction/propose": 3.0}
    assert [sample.weight for sample in ready(usual(), config=config).batch.samples] == [3.0, 3.0, 0.5, 0.5]


def test_each_token_knows_the_weights_that_sampled_it() -> None:
    made = trajectory("t", Cell("deduction", "solve"), "g", 0.0, spans(3, 3, 5))
    assert token_steps(made).tolist() == [3, 3, 5]
    items = attempts("g", [1.0, -0.5], made=spans(2, 3))
    assert ready(items, step=4).batch.samples[0].token_steps.tolist() == [2, 3]


def test_what_is_too_old_or_of_dead_weights_is_refused_here_whatever_the_books_say() -> None:
    with pytest.raises(StalenessError, match="stale"):
        ready(attempts("g", [1.0, -0.5], made=spans(0, 1)), step=5)
    after_resume = Ancestry(1, (Version(0, 2),))
    with pytest.raises(StalenessError, match="lineage"):
        ready(attempts("g", [1.0, -0.5], made=spans(3)), step=4, ancestry=after_resume)
    assert ready(attempts("g", [1.0, -0.5], made=spans(2)), step=4, ancestry=after_resume).batch.samples


def test_an_old_rating_makes_a_young_proposal_old() -> None:
    with pytest.raises(StalenessError, match=r"weights 0\.1, 0\.5"):
        ready([proposal("p", rating=(1, 2), made=spans(5), rated_at=1)], step=6)


def test_what_a_watch_holds_back_carries_no_gradient_but_is_counted() -> None:
    seen: list[str] = []

    def look(trajectories: Sequence[Trajectory], step: int, metrics: Accumulator) -> dict[str, str]:
        seen.extend(trajectory.id for trajectory in trajectories)
        return {"p1/rating#0": "uh_oh"}

    prepared = prepare(usual(), Version(0, 0), Ancestry(), algorithm(), 4, Memory(), look=look)
    assert len(seen) == 6
    assert len(prepared.batch.samples) == 3
    assert prepared.metrics.report()["batch/sequences/deduction/solve"] == 4.0
    assert (prepared.memory.flat_tokens, prepared.memory.withheld_tokens) == (4, 2)


def test_shuffled_rewards_change_places_inside_a_group_so_that_as_many_groups_teach_nothing() -> None:
    config = algorithm()
    config.shuffle_rewards = True
    groups = [[1.0, -0.5]] * 7 + [[1.0, 1.0], [-0.5, -0.5]]
    items = [item for index, rewards in enumerate(groups) for item in attempts(f"g{index}", rewards)]
    plain, shuffled = ready(items), ready(items, config=config)
    assert plain.metrics.report()["reward/mean/deduction/solve"] == pytest.approx(0.25)
    assert shuffled.metrics.report()["reward/mean/deduction/solve"] == pytest.approx(0.25)
    assert len(plain.batch.samples) == len(shuffled.batch.samples) == 14

    def taught(prepared: Prepared) -> list[float]:
        return [sample.advantage for sample in prepared.batch.samples]

    assert taught(shuffled) != taught(plain)
    assert Counter(taught(shuffled)) == Counter(taught(plain))


def test_shuffled_rewards_of_lone_attempts_change_places_inside_their_cell() -> None:
    config = algorithm()
    config.shuffle_rewards = True
    config.advantages.solve.name = "trrpp"
    items = [item for index in range(8) for item in attempts(f"g{index}", [1.0 if index % 2 else -0.5])]
    plain, shuffled = ready(items, config=algorithm()), ready(items, config=config)
    assert shuffled.metrics.report()["reward/mean/deduction/solve"] == pytest.approx(
        plain.metrics.report()["reward/mean/deduction/solve"]
    )
    again = ready(items, config=config)
    assert Counter(sample.advantage for sample in again.batch.samples) == Counter(
        sample.advantage for sample in shuffled.batch.samples
    )


def test_metrics_tell_what_was_played() -> None:
    told = ready(usual()).metrics.report()
    assert told["batch/accuracy/deduction"] == 0.75
    assert told["batch/malformed/deduction"] == 0.0
    assert told["batch/replay_share/deduction"] == 0.5
    assert told["batch/valid/deduction"] == 0.5
    assert told["proposal/solve_rate/deduction.mean"] == 0.5
    assert told["proposal/at_extremes/deduction"] == 0.0
    assert told["reward/learnability/deduction"] == 2.0
    assert told["advantage/without_variance/deduction/solve"] == 0.5


def test_where_ratings_are_not_trained_on_nothing_is_said_of_replay() -> None:
    """All attempts are at drawn tasks then, those of the step before included: the share would always be 1."""
    config = algorithm()
    config.rating.trained = False
    told = ready([*attempts("new", [1.0, -0.5], kind="replay")], config=config).metrics.report()
    assert told["batch/accuracy/deduction"] == 0.5
    assert not any(name.startswith("batch/replay_share") for name in told)


def test_metrics_tell_how_old_the_data_was() -> None:
    told = ready(attempts("g", [1.0, -0.5], made=spans(2, 3)), step=4).metrics.report()
    assert told["off_policy/staleness/deduction/solve.max"] == 2.0
    assert {name[-1]: share for name, share in told.items() if name.startswith("off_policy/age_share/")} == {
        str(age): float(age == 2) for age in range(MAX_STALENESS + 1)
    }
    assert told["off_policy/version_span.mean"] == 1.0
    assert told["off_policy/mixed_versions"] == 1.0


def test_tokens_of_groups_without_variance_are_counted_apart() -> None:
    after = ready(usual()).memory
    assert (after.flat_tokens, after.withheld_tokens) == (4, 0)


def test_tokens_that_the_learner_will_not_have_count_as_withheld() -> None:
    items = usual()
    record = decode(items[2].sample.body, Attempt)
    broken = msgspec.structs.replace(record.trajectory, behaviour_logprobs=np.array([np.nan, -0.5], dtype=np.float32))
    body = encode(msgspec.structs.replace(record, trajectory=broken))
    items[2] = items[2]._replace(sample=msgspec.structs.replace(items[2].sample, body=body))
    before = Memory(flat_tokens=10, withheld_tokens=1)
    prepared = ready(items, before)
    after = prepared.memory
    assert (after.flat_tokens, after.withheld_tokens) == (14, 3)
    assert prepared.metrics.report()["ledger/withheld_tokens"] == 3.0


def test_broken_log_probs_are_told_by_cell_also_where_nothing_carries_a_gradient() -> None:
    """An engine whose weights are broken says one token again and again: groups without variance, which nobody sees."""
    assert ready(usual()).metrics.report()["batch/broken/deduction/solve"] == 0.0
    items = usual()
    for place in (4, 5):
        record = decode(items[place].sample.body, Attempt)
        broken = np.array([-0.5, np.nan], dtype=np.float32)
        trajectory = msgspec.structs.replace(record.trajectory, behaviour_logprobs=broken)
        body = encode(msgspec.structs.replace(record, trajectory=trajectory))
        items[place] = items[place]._replace(sample=msgspec.structs.replace(items[place].sample, body=body))
    told = ready(items).metrics.report()
    assert told["batch/broken/deduction/solve"] == 0.5
    assert told["batch/broken/deduction/propose"] == 0.0


def test_what_a_cell_lacks_of_its_quota_is_told() -> None:
    """Two proposals and two groups of two attempts are asked for."""
    told = ready(usual()).metrics.report()
    assert (told["batch/missing/deduction/propose"], told["batch/missing/deduction/solve"]) == (0.0, 0.0)
    told = ready(usual()[1:4]).metrics.report()
    assert (told["batch/missing/deduction/propose"], told["batch/missing/deduction/solve"]) == (1.0, 1.0)
    assert ready(usual()[:2]).metrics.report()["batch/missing/deduction/solve"] == 2.0


def test_tasks_of_the_batch_are_told_with_what_their_attempts_said() -> None:
    [told] = ready(usual(), step=0).tasks
    assert (told.step, told.task.id, told.right, told.attempts, told.reward) == (0, "p1/task", 1, 2, 2.0)


def test_arrays_are_those_the_engine_recorded() -> None:
    sample = ready(usual()).batch.samples[0]
    assert sample.behaviour_logprobs.dtype == np.float32
    assert sample.behaviour_logprobs.tolist() == [-0.5, -0.5]
