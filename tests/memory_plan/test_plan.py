"""What does not fit is named, each with changes of which one is enough; what fits is not refused."""

from __future__ import annotations

import re
from dataclasses import replace

import msgspec
import pytest

from azr.config.sections.learner import LearnerConfig
from azr.errors import AzrError
from azr.memory_plan import CARDS, Engine, MemoryPlan, card_named, make_plan, shape_of
from azr.memory_plan.learner import learner_demand

#: A prompt of 6,144 tokens and a response of 8,096, as published.
ENGINE = Engine(replicas=2, tensor_parallel=1, share=0.85, running=64, sequence_tokens=14_240)
LEARNER = LearnerConfig(ranks=2, checkpointing="full")


def plan(
    model: str = "Qwen/Qwen2.5-7B",
    card: str = "H100-80GB",
    learner: LearnerConfig = LEARNER,
    engine: Engine = ENGINE,
    rank_share: float = 1.0,
) -> MemoryPlan:
    return make_plan(model, shape_of(model), card_named(card), learner, engine, rank_share=rank_share)


@pytest.mark.parametrize(
    ("model", "ranks", "replicas"),
    [("Qwen/Qwen2.5-Coder-3B", 1, 1), ("Qwen/Qwen2.5-7B", 2, 2), ("Qwen/Qwen2.5-14B", 4, 4)],
)
def test_published_models_fit_on_as_many_cards_as_were_published(model: str, ranks: int, replicas: int) -> None:
    learner, engine = replace(LEARNER, ranks=ranks), msgspec.structs.replace(ENGINE, replicas=replicas)
    made = plan(model, learner=learner, engine=engine)
    assert made.problems == ()
    assert made.cards == ranks + replicas
    made.refuse()


def test_a_learner_too_large_is_refused_with_numbers_and_with_changes_that_are_each_enough() -> None:
    learner = replace(LEARNER, ranks=1)
    made = plan(learner=learner)
    [(what, mend)] = made.problems
    assert re.search(r"a learner rank wants \d+\.\d GiB of a H100-80GB, which has 78\.0 GiB", what)
    ranks = int(re.search(r"learner\.ranks=(\d+)", mend)[1])  # type: ignore[index]
    assert ranks == 2
    assert learner_demand(made.shape, replace(learner, ranks=ranks)).total <= made.card.memory
    assert "learner.cpu_offload=true" in mend
    with pytest.raises(AzrError, match=r"learner\.ranks=2"):
        made.refuse()


def test_the_cheapest_change_is_told_first() -> None:
    mend = plan(learner=replace(LEARNER, checkpointing="none")).problems[0][1]
    assert mend.startswith("learner.checkpointing=full")


def test_an_engine_without_room_for_one_sequence_is_told_what_would_make_room() -> None:
    made = plan("Qwen/Qwen2.5-14B", "L40S", replace(LEARNER, ranks=16), msgspec.structs.replace(ENGINE, share=0.7))
    [(what, mend)] = made.problems
    assert "less than one sequence of 14,240" in what
    apart = "with gpus_per_replica=-1"
    more = " or ".join(f"rollout.tensor_parallel={ways} {apart}" for ways in (2, 4))
    assert mend == f"rollout.memory_fraction=0.95 or {more}"


def test_cards_that_do_not_divide_the_heads_are_refused() -> None:
    [(what, mend)] = plan(engine=msgspec.structs.replace(ENGINE, tensor_parallel=8)).problems
    assert what == "8 cards an engine do not divide the 28 attention heads"
    assert mend == "set rollout.tensor_parallel to one of 1, 2, 4"


def test_a_share_that_leaves_no_room_for_new_weights_is_refused() -> None:
    [(what, mend)] = plan(engine=msgspec.structs.replace(ENGINE, share=0.99)).problems
    assert "2.0 GiB for new weights to arrive through" in what
    # 2 of 78 GiB are 2.6 %.
    assert mend == "set rollout.memory_fraction to at most 0.97"


def test_learner_and_engine_on_one_card_are_added() -> None:
    engine = msgspec.structs.replace(ENGINE, replicas=1, share=0.4, card_share=0.5)
    small = replace(LEARNER, ranks=1)
    made = plan("Qwen/Qwen2.5-3B", "H100-80GB", small, engine, rank_share=0.5)
    [(what, _)] = made.problems
    assert "of which an engine beside it leaves 44.8 GiB" in what  # 78 - 0.4·78 - 2
    assert made.cards == 1.0
    assert plan("Qwen/Qwen2.5-3B", "H200", small, engine, rank_share=0.5).problems == ()


@pytest.mark.parametrize(
    ("replicas", "rank_share", "card_share", "beside"),
    [
        (3, 0.4, 0.2, 3),  # in floating point (1 - 0.4) / 0.2 is a little less than 3
        (9, 0.5, 0.25, 2),
        (1, 0.5, 0.25, 1),
        (2, 1.0, 0.0, 2),  # each sees all cards and takes the first
        (2, 0.5, 1.0, 0),
    ],
)
def test_as_many_engines_as_may_lie_beside_a_rank_are_taken_off_its_card(
    replicas: int, rank_share: float, card_share: float, beside: int
) -> None:
    engine = msgspec.structs.replace(ENGINE, replicas=replicas, share=0.1, card_share=card_share)
    learner = replace(LEARNER, ranks=1)
    (what, _), *_ = plan(learner=learner, engine=engine, rank_share=rank_share).problems
    left = re.search(r"of which (an|\d+) engines? beside it leaves? ([\d.]+) GiB", what)
    assert (left is not None) == (beside > 0)
    if left is not None:
        assert left[1] == ("an" if beside == 1 else str(beside))
        assert float(left[2]) == pytest.approx(78 - beside * (7.8 + 2), abs=0.06)


def test_an_engine_with_a_cache_of_a_given_size_takes_that_and_what_it_needs_besides() -> None:
    """14.2 GiB of weights, 2.0 of working space and graphs each, and 2 GiB for new weights to arrive through."""
    two = msgspec.structs.replace(ENGINE, share=0.9, card_share=0.5, cache=8 << 30)
    assert plan(engine=two).problems == (), "the share is not what they take"
    [(what, mend)] = plan(engine=msgspec.structs.replace(two, cache=40 << 30)).problems
    assert re.match(r"2 engine\(s\) on a card, each with [\d.]+ GiB, its cache included, and 2\.0 GiB", what)
    most = int(mend.removeprefix("set rollout.kv_cache_mb to at most "))
    assert plan(engine=msgspec.structs.replace(two, cache=most << 20)).problems == ()
    assert plan(engine=msgspec.structs.replace(two, cache=(most + 1) << 20)).problems != ()


def test_a_cache_too_small_for_one_sequence_is_told_the_size_that_is_enough() -> None:
    small = msgspec.structs.replace(ENGINE, cache=64 << 20)
    [(what, mend)] = plan(engine=small).problems
    assert what == "an engine with a cache of 0.1 GiB has 1,170 cached tokens, less than one sequence of 14,240"
    assert mend == "rollout.kv_cache_mb=779"  # 14,240 times 57,344 bytes
    assert plan(engine=msgspec.structs.replace(small, cache=779 << 20)).problems == ()


def test_what_a_rank_sends_is_counted_where_it_fits_and_in_the_ways_out() -> None:
    sending = msgspec.structs.replace(ENGINE, sent="by tensor")
    fits, sent = plan(), plan(engine=sending)
    # 152,064 x 3,584 and 3,584 x 18,944, two bytes each.
    assert sent.learner.total - fits.learner.total == 2 * 3584 * (152_064 + 18_944)
    whole = plan(engine=msgspec.structs.replace(ENGINE, sent="whole"))
    assert whole.learner.total - fits.learner.total == 2 * 7_615_616_512  # all of it, in two bytes
    # 76.6 GiB of 78 with two ranks; 1.3 more are not there for a learner that keeps a little more.
    learner = replace(LEARNER, tokens_per_micro_batch=16_384)
    assert plan("Qwen/Qwen3-8B-Base", learner=learner).problems == ()
    [(_, mend)] = plan("Qwen/Qwen3-8B-Base", learner=learner, engine=sending).problems
    assert "learner.ranks=4" in mend


def test_more_ranks_are_no_change_where_two_would_be_put_on_one_card() -> None:
    """Which is refused: NCCL cannot join them."""
    mends = [mend for _, mend in plan(learner=replace(LEARNER, ranks=1), rank_share=0.5).problems]
    assert mends
    assert "learner.ranks" not in "".join(mends)


def test_engines_that_share_a_card_share_its_memory() -> None:
    engine = msgspec.structs.replace(ENGINE, share=0.6, card_share=0.5)
    [(what, mend)] = plan(engine=engine).problems
    assert what.startswith("2 engine(s) on a card")
    assert mend == "set rollout.memory_fraction to at most 0.47"


def test_where_no_share_is_small_enough_fewer_engines_are_to_share_a_card() -> None:
    # 50 times 2 of 78 GiB.
    engine = msgspec.structs.replace(ENGINE, replicas=60, share=0.02, card_share=0.02)
    [_, (what, mend)] = plan(engine=engine).problems
    assert what.startswith("50 engine(s) on a card")
    assert mend == "let fewer engines share a card (rollout.gpus_per_replica), or take larger cards"


def test_no_more_engines_share_a_card_than_there_are() -> None:
    engine = msgspec.structs.replace(ENGINE, replicas=2, share=0.47, card_share=0.25)
    assert plan(engine=engine).problems == ()


def test_an_engine_without_room_is_not_told_a_share_that_its_neighbours_leave_it_no_room_for() -> None:
    engine = msgspec.structs.replace(ENGINE, share=0.1, card_share=0.5)
    [(_, mend)] = plan(engine=engine).problems
    assert mend.startswith("rollout.memory_fraction=0.47 or ")


def test_a_rank_on_cores_takes_no_card_and_its_memory_is_the_hosts() -> None:
    engine = msgspec.structs.replace(ENGINE, share=0.97)
    made = plan(learner=replace(LEARNER, ranks=1), engine=engine, rank_share=0.0)
    assert made.problems == ()
    assert made.cards == 2.0
    text = "\n".join(made.lines())
    assert "learner, each of 1 ranks, on cores" in text
    learner, _, engines = text.partition("engine, each card")
    assert re.search(r"together +[\d.]+ GiB of host memory", learner)
    assert "of 78.0 GiB" not in learner
    assert "of 78.0 GiB" in engines


def test_engines_for_which_no_card_is_set_aside_take_that_of_a_rank() -> None:
    alone = msgspec.structs.replace(ENGINE, replicas=1, card_share=0.0)
    [(what, mend)] = plan(engine=alone).problems
    assert "of which an engine beside it leaves" in what
    assert mend.startswith("rollout.gpus_per_replica=-1, for a card of the engine's own")
    assert plan(engine=alone, rank_share=0.0).problems == ()
    assert plan(engine=alone, rank_share=0.0).cards == 1.0
    [(what, _)] = plan(engine=msgspec.structs.replace(alone, replicas=2), rank_share=0.0).problems
    assert what.startswith("2 engine(s) on a card")


def test_a_card_of_its_own_is_offered_only_where_the_rank_then_fits() -> None:
    alone = msgspec.structs.replace(ENGINE, replicas=1, card_share=0.0)
    [(_, mend)] = plan(learner=replace(LEARNER, ranks=1), engine=alone).problems
    assert "for a card of the engine's own" not in mend
    # 1.3 GiB are missing where weights go from card to card, as they would then.
    close = replace(LEARNER, tokens_per_micro_batch=16_384)
    [(_, mend)] = plan("Qwen/Qwen3-8B-Base", learner=close, engine=alone).problems
    assert "for a card of the engine's own" not in mend


def test_an_engine_of_several_workers_has_cards_of_its_own() -> None:
    """Several workers on parts of cards are refused by the rules of the section."""
    engine = msgspec.structs.replace(ENGINE, share=0.3, card_share=0.5)
    [(_, mend)] = plan("Qwen/Qwen2.5-14B", learner=replace(LEARNER, ranks=8), engine=engine).problems
    assert "rollout.tensor_parallel=2 with gpus_per_replica=-1" in mend


def test_what_several_problems_need_is_joined_and_ways_out_of_one_are_not() -> None:
    made = plan("Qwen/Qwen2.5-14B", "L40S", replace(LEARNER, ranks=1), msgspec.structs.replace(ENGINE, share=0.7))
    assert len(made.problems) == 2
    with pytest.raises(AzrError) as refused:
        made.refuse()
    assert refused.value.mend == "; and ".join(mend for _, mend in made.problems)
    assert all(" or " in mend for _, mend in made.problems)


def test_the_table_adds_up_and_names_cards_cache_and_host() -> None:
    made = plan()
    text = "\n".join(made.lines())
    learner = [float(number) for number in re.findall(r"([\d.]+) GiB", text.partition("engine")[0])]
    *parts, together, whole = learner
    assert sum(parts) == pytest.approx(together, abs=0.4)
    assert whole == 78.0
    assert "4 x H100-80GB" in text
    assert "sequences of 14,240" in text
    assert "on the node of the learner's first rank" in text
    assert re.search(r"at start   [\d.]+ GiB for each of 2 ranks while it loads the whole model", text)
    assert "/dev/shm   42.6 GiB on the driver's node" in text  # 3 x 14.19
    assert "DOES NOT FIT" not in text


def test_the_table_shows_what_does_not_fit() -> None:
    assert "DOES NOT FIT" in "\n".join(plan(learner=replace(LEARNER, ranks=1)).lines())


def test_an_unknown_card_is_refused_with_the_nearest_and_case_does_not_matter() -> None:
    assert card_named("h200") is CARDS["H200"]
    with pytest.raises(AzrError, match="did you mean 'H100-80GB'"):
        card_named("H100-80")


@pytest.mark.parametrize(
    ("typed", "meant"), [("H100", "'H100-80GB'"), ("a100", "'A100-40GB' or 'A100-80GB'"), ("H300", "'H200'")]
)
def test_a_card_that_begins_with_what_was_typed_goes_before_one_that_is_spelt_like_it(typed: str, meant: str) -> None:
    with pytest.raises(AzrError) as refused:
        card_named(typed)
    assert f"did you mean {meant}?" in refused.value.what
