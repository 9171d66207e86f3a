"""The whole plan: learner and engines on cards of one type, what does not fit, and what would mend it.

Pure. Called through `azr.memory_plan.configured`. Every number is arithmetic on shapes, none is measured.

    Config ──► shape, card ──► learner_demand, engine_demand ──► who shares a card? ──► problems with mends
                                        └──────────────────► lines (a table)
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import msgspec

from azr.config.sections.learner import LearnerConfig
from azr.errors import AzrError
from azr.memory_plan.cards import Card
from azr.memory_plan.demand import Demand, gib
from azr.memory_plan.engine import Engine, cache_bytes_per_token, cached_tokens, engine_demand, transfer_buffers
from azr.memory_plan.learner import host_demand, learner_demand, load_demand, shared_memory_demand, two_matrices
from azr.memory_plan.shapes import Shape

#: Numbers of ranks tried for a mend.
_RANKS = (1, 2, 4, 8, 16, 32, 64)

#: Numbers of cards of an engine tried for a mend: they are on one machine.
_WAYS = (1, 2, 4, 8)

_MIB = 1 << 20

#: At most this many ways out are told.
_MENDS = 3


@dataclass(frozen=True)
class MemoryPlan:
    """What was worked out."""

    model: str
    shape: Shape
    card: Card
    learner: Demand
    ranks: int
    on_cores: bool
    """Whether ranks compute on cores, so that what they ask for is host memory."""
    host: int
    versions: int
    """Bytes of the versions that lie in /dev/shm."""
    engine: Demand
    engines: Engine
    cached: int
    """Tokens in one engine's cache."""
    cards: float
    """Cards taken together; fractions where cards are shared."""
    problems: tuple[tuple[str, str], ...]
    """What does not fit, and how to mend it."""

    def refuse(self) -> None:
        """Raise what does not fit; do nothing if all does."""
        if self.problems:
            what = "\n".join(problem for problem, _ in self.problems)
            raise AzrError(what, "; and ".join(dict.fromkeys(mend for _, mend in self.problems)))

    def lines(self) -> list[str]:
        """The plan as a table for people."""
        rows = [f"memory plan  {self.model}, {self.shape.parameters / 1e9:.2f}B parameters, on {self.card.name}"]
        of_card = f" of {gib(self.card.memory)}"
        where, of_rank = (", on cores", " of host memory") if self.on_cores else ("", of_card)
        rows += _table(f"learner, each of {self.ranks} ranks{where}", self.learner, self.learner.total, of_rank)
        engines = self.engines
        named = f"engine, each card of {engines.replicas} x {engines.tensor_parallel}"
        rows += _table(named, self.engine, self.engine.total, of_card)
        sequences = self.cached / engines.sequence_tokens
        rows.append(f"  cache      {self.cached:,} tokens: {sequences:.1f} sequences of {engines.sequence_tokens:,}")
        rows.append(f"  host       {gib(self.host)} on the node of the learner's first rank, for versions on their way")
        loading = f"{gib(load_demand(self.shape))} for each of {self.ranks} ranks while it loads the whole model"
        rows.append(f"  at start   {loading}")
        if self.versions:
            rows.append(
                f"  /dev/shm   {gib(self.versions)} on the driver's node, for versions; Ray's object store besides"
            )
        rows.append(f"  cards      {self.cards:g} x {self.card.name}")
        rows += [f"  DOES NOT FIT  {what}\n    mend: {mend}" for what, mend in self.problems]
        return rows


def _table(title: str, demand: Demand, total: int, whole: str) -> list[str]:
    rows = [f"  {title}", *(f"    {item.name:<20}{gib(item.bytes):>12}" for item in demand.items)]
    return [*rows, f"    {'together':<20}{gib(total):>12}{whole}"]


def make_plan(
    model: str,
    shape: Shape,
    card: Card,
    learner: LearnerConfig,
    engine: Engine,
    *,
    rank_share: float = 1.0,
    versions: int = 3,
) -> MemoryPlan:
    """Work everything out; what does not fit is told in the plan, not raised.

    `rank_share` is what Ray sets aside of a card for a learner rank, 0 where it computes on cores; `versions` how many
    the registry has in /dev/shm.
    """
    cards = learner.ranks * rank_share + engine.replicas * engine.tensor_parallel * engine.card_share
    on_cores = rank_share == 0
    return MemoryPlan(
        model=model,
        shape=shape,
        card=card,
        learner=learner_demand(shape, learner, sent=_sent(shape, engine), on_cores=on_cores),
        ranks=learner.ranks,
        on_cores=on_cores,
        host=host_demand(shape, learner, engine.width),
        versions=shared_memory_demand(shape, versions, engine.width),
        engine=engine_demand(shape, engine, card),
        engines=engine,
        cached=cached_tokens(shape, engine, card),
        cards=cards if engine.card_share else max(cards, engine.tensor_parallel),
        problems=tuple(_problems(shape, card, learner, engine, rank_share)),
    )


def _sent(shape: Shape, engine: Engine) -> int:
    """Bytes of weights on the learner's card that are on their way to engines."""
    if engine.sent == "no":
        return 0
    return engine.width * (two_matrices(shape) if engine.sent == "by tensor" else shape.published_parameters)


def _problems(
    shape: Shape, card: Card, learner: LearnerConfig, engine: Engine, rank_share: float
) -> Iterator[tuple[str, str]]:
    if rank_share == 0:
        yield from _engine_problems(shape, card, engine)
        return
    beside = _beside_a_rank(engine, rank_share)
    room = card.memory - beside * _claim(shape, card, engine)
    demand = learner_demand(shape, learner, sent=_sent(shape, engine)).total
    if demand > room:
        who = "an engine beside it leaves" if beside == 1 else f"{beside} engines beside it leave"
        left = f", of which {who} {gib(max(0, room))}" if beside else ""
        own = "rollout.gpus_per_replica=-1, for a card of the engine's own"
        mends = [
            *([own] if _fits_apart(shape, card, learner, engine) else []),
            *_learner_mends(shape, room, learner, engine, rank_share),
        ]
        yield (
            f"a learner rank wants {gib(demand)} of a {card.name}, which has {gib(card.memory)}{left}",
            " or ".join(mends) or "take larger cards, or a smaller model",
        )
    yield from _engine_problems(shape, card, engine)


def _engine_problems(shape: Shape, card: Card, engine: Engine) -> Iterator[tuple[str, str]]:
    ways = engine.tensor_parallel
    if shape.heads % ways:
        dividing = ", ".join(str(number) for number in _WAYS if shape.heads % number == 0)
        yield (
            f"{ways} cards an engine do not divide the {shape.heads} attention heads",
            f"set rollout.tensor_parallel to one of {dividing}",
        )
        return
    cached = cached_tokens(shape, engine, card)
    if cached < engine.sequence_tokens:
        share = f"an engine's share of {engine.share:.0%} of a {card.name} leaves room for"
        yield (
            f"{f'an engine with a cache of {gib(engine.cache)} has' if engine.cache else share} {cached:,} cached "
            f"tokens, less than one sequence of {engine.sequence_tokens:,}",
            " or ".join(_engine_mends(shape, card, engine)) or "take larger cards, or a smaller model",
        )
    neighbours, buffers = _neighbours(engine), transfer_buffers(shape, engine)
    wanted = neighbours * _claim(shape, card, engine) / card.memory
    if wanted > 1:
        kept = gib(engine_demand(shape, engine, card).total)
        each = f"{kept}, its cache included," if engine.cache else f"a share of {engine.share:.2f}"
        yield (
            f"{neighbours} engine(s) on a card, each with {each} and {gib(buffers)} for new weights to arrive through, "
            f"want {wanted:.0%} of it",
            _less(shape, card, engine)
            or "let fewer engines share a card (rollout.gpus_per_replica), or take larger cards",
        )


def _fits_apart(shape: Shape, card: Card, learner: LearnerConfig, engine: Engine) -> bool:
    """Whether a rank would fit if engines that are given no part of a card had cards of their own. New weights then go
    from its card to theirs by `weights.transport=auto`, and are on it meanwhile."""
    between = msgspec.structs.replace(engine, sent="by tensor") if engine.sent == "no" else engine
    return not engine.card_share and learner_demand(shape, learner, sent=_sent(shape, between)).total <= card.memory


def _claim(shape: Shape, card: Card, engine: Engine) -> int:
    """Bytes of a card that one engine takes, with what new weights arrive through."""
    return engine_demand(shape, engine, card).total + transfer_buffers(shape, engine)


def _beside_a_rank(engine: Engine, rank_share: float) -> int:
    """Engines that Ray may put on a rank's card."""
    if not engine.card_share:
        return engine.replicas
    # A hair more: in floating point (1 - 0.4) / 0.2 is a little less than 3.
    return max(0, min(engine.replicas, int((1 - rank_share) / engine.card_share + 1e-9)))


def _neighbours(engine: Engine) -> int:
    """Engines on a card. Of those for which Ray sets none aside, each sees all cards and takes the first."""
    if engine.card_share >= 1:
        return 1
    return min(engine.replicas, int(1 / engine.card_share)) if engine.card_share else engine.replicas


def _highest(shape: Shape, card: Card, engine: Engine) -> float:
    """The highest share, in whole percents, that all engines on a card may have; 0 or less where there is none."""
    return math.floor((1 / _neighbours(engine) - transfer_buffers(shape, engine) / card.memory) * 100) / 100


def _less(shape: Shape, card: Card, engine: Engine) -> str:
    """The change by which all engines of a card fit it; empty where there is none."""
    if not engine.cache:
        highest = _highest(shape, card, engine)
        return f"set rollout.memory_fraction to at most {highest:.2f}" if highest > 0 else ""
    others = _claim(shape, card, engine) - engine.cache
    most = (card.memory // _neighbours(engine) - others) // _MIB
    return f"set rollout.kv_cache_mb to at most {most}" if most > 0 else ""


def _learner_mends(shape: Shape, room: int, learner: LearnerConfig, engine: Engine, rank_share: float) -> Iterator[str]:
    """Single changes, each enough by itself, the cheapest first. Where two ranks would fit
    a card by their share of it, there can be but one."""
    tried: list[tuple[str, LearnerConfig]] = [
        (f"learner.checkpointing={kind}", replace(learner, checkpointing=kind)) for kind in ("selective", "full")
    ]
    tokens = engine.sequence_tokens
    if tokens < learner.tokens_per_micro_batch:
        less = replace(learner, tokens_per_micro_batch=tokens)
        tried.append((f"learner.tokens_per_micro_batch={tokens}", less))
        tried.append(
            (f"learner.checkpointing=full with tokens_per_micro_batch={tokens}", replace(less, checkpointing="full"))
        )
    for ranks in _RANKS if rank_share > 0.5 else ():
        if ranks > learner.ranks:
            tried.append((f"learner.ranks={ranks}", replace(learner, ranks=ranks)))
            full = replace(learner, ranks=ranks, checkpointing="full")
            tried.append((f"learner.ranks={ranks} with checkpointing=full", full))
    tried.append(("learner.cpu_offload=true", replace(learner, cpu_offload=True)))
    found = 0
    seen_ranks = False
    for text, changed in tried:
        if found == _MENDS:
            return
        more_ranks = changed.ranks > learner.ranks
        if changed == learner or (more_ranks and seen_ranks):
            continue
        if learner_demand(shape, changed, sent=_sent(shape, engine)).total > room:
            continue
        seen_ranks = seen_ranks or more_ranks
        found += 1
        yield text


def _engine_mends(shape: Shape, card: Card, engine: Engine) -> Iterator[str]:
    if engine.cache:
        enough = math.ceil(engine.sequence_tokens * cache_bytes_per_token(shape, engine) / _MIB)
        room = f"rollout.kv_cache_mb={enough}", msgspec.structs.replace(engine, cache=enough * _MIB)
    else:
        highest = _highest(shape, card, engine)
        room = f"rollout.memory_fraction={highest:.2f}", msgspec.structs.replace(engine, share=highest)
    half = max(1, engine.running // 2)
    tried = [room, (f"rollout.max_sequences={half}", msgspec.structs.replace(engine, running=half))]
    # A card, or a part of one, is for an engine of one worker; so many cards as there are workers is the default.
    tried += [
        (
            f"rollout.tensor_parallel={ways} with gpus_per_replica=-1",
            msgspec.structs.replace(engine, tensor_parallel=ways, card_share=1),
        )
        for ways in _WAYS
        if ways > engine.tensor_parallel and shape.heads % ways == 0
    ]
    fitting = [
        text
        for text, changed in tried
        if cached_tokens(shape, changed, card) >= engine.sequence_tokens
        and not (engine.cache and _neighbours(changed) * _claim(shape, card, changed) > card.memory)
    ]
    yield from fitting[:_MENDS]
