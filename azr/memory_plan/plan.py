"""The whole plan: learner and engines on cards of one type, what does not fit, and what would mend it.

Pure. Called by `azr train --dry-run` and `azr config memory`. Every number is arithmetic on shapes, none is measured.

    Config ──► shape, card ──► learner_demand, engine_demand ──► who shares a card? ──► problems with mends
                                        └──────────────────► lines (a table)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import msgspec

from azr.config.sections.learner import LearnerConfig
from azr.errors import AzrError
from azr.memory_plan.cards import Card
from azr.memory_plan.demand import Demand, gib
from azr.memory_plan.engine import Engine, cached_tokens, engine_demand, transfer_buffers
from azr.memory_plan.learner import host_demand, learner_demand, load_demand, shared_memory_demand, two_matrices
from azr.memory_plan.shapes import Shape

#: Numbers of ranks tried for a mend.
_RANKS = (1, 2, 4, 8, 16, 32, 64)

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
            raise AzrError(what, "; or ".join(dict.fromkeys(mend for _, mend in self.problems)))

    def lines(self) -> list[str]:
        """The plan as a table for people."""
        rows = [f"memory plan  {self.model}, {self.shape.parameters / 1e9:.2f}B parameters, on {self.card.name}"]
        rows += self._table(f"learner, each of {self.ranks} ranks", self.learner, self.learner.total)
        engines = self.engines
        named = f"engine, each card of {engines.replicas} x {engines.tensor_parallel}"
        rows += self._table(named, self.engine, round(engines.share * self.card.memory))
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

    def _table(self, title: str, demand: Demand, total: int) -> list[str]:
        rows = [f"  {title}"]
        rows += [f"    {item.name:<20}{gib(item.bytes):>12}" for item in demand.items]
        return [*rows, f"    {'together':<20}{gib(total):>12} of {gib(self.card.memory)}"]


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

    `rank_share` is what Ray sets aside of a card for a learner rank, `versions` how many the registry has in /dev/shm.
    """
    cards = learner.ranks * rank_share + engine.replicas * engine.tensor_parallel * engine.card_share
    return MemoryPlan(
        model=model,
        shape=shape,
        card=card,
        learner=learner_demand(shape, learner, sent=_sent(shape, engine)),
        ranks=learner.ranks,
        host=host_demand(shape, learner, engine.width),
        versions=shared_memory_demand(shape, versions, engine.width),
        engine=engine_demand(shape, engine, card),
        engines=engine,
        cached=cached_tokens(shape, engine, card),
        cards=cards,
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
    shared = rank_share + engine.card_share <= 1
    beside = round(engine.share * card.memory) + transfer_buffers(shape, engine) if shared else 0
    room = card.memory - beside
    demand = learner_demand(shape, learner, sent=_sent(shape, engine)).total
    if demand > room:
        left = f", of which an engine beside it leaves {gib(room)}" if shared else ""
        yield (
            f"a learner rank wants {gib(demand)} of a {card.name}, which has {gib(card.memory)}{left}",
            " or ".join(_learner_mends(shape, room, learner, engine)) or "take larger cards, or a smaller model",
        )
    yield from _engine_problems(shape, card, engine)


def _engine_problems(shape: Shape, card: Card, engine: Engine) -> Iterator[tuple[str, str]]:
    ways = engine.tensor_parallel
    if shape.heads % ways:
        yield f"{ways} cards an engine do not divide the {shape.heads} attention heads", "choose 1, 2, 4 or 8"
        return
    cached = cached_tokens(shape, engine, card)
    if cached < engine.sequence_tokens:
        yield (
            f"an engine's share of {engine.share:.0%} of a {card.name} leaves room for {cached:,} cached tokens, "
            f"less than one sequence of {engine.sequence_tokens:,}",
            " or ".join(_engine_mends(shape, card, engine)) or "take larger cards, or a smaller model",
        )
    neighbours = int(1 / engine.card_share) if 0 < engine.card_share < 1 else 1
    buffers = transfer_buffers(shape, engine)
    wanted = neighbours * (engine.share + buffers / card.memory)
    if wanted > 1:
        fitting = 1 / neighbours - buffers / card.memory
        yield (
            f"{neighbours} engine(s) on a card, each with a share of {engine.share:.2f} and {gib(buffers)} for new "
            f"weights to arrive through, want {wanted:.0%} of it",
            f"set the share to at most {int(fitting * 100) / 100:.2f}",
        )


def _learner_mends(shape: Shape, room: int, learner: LearnerConfig, engine: Engine) -> Iterator[str]:
    """Single changes, each enough by itself, the cheapest first."""
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
    for ranks in _RANKS:
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
    highest = int((1 - transfer_buffers(shape, engine) / card.memory) * 100) / 100
    tried = [
        (f"a share of {highest:.2f}", msgspec.structs.replace(engine, share=highest)),
        ("half as many running sequences", msgspec.structs.replace(engine, running=max(1, engine.running // 2))),
    ]
    tried += [
        (f"{ways} cards an engine", msgspec.structs.replace(engine, tensor_parallel=ways))
        for ways in (2, 4, 8)
        if ways > engine.tensor_parallel and shape.heads % ways == 0
    ]
    fitting = [text for text, changed in tried if cached_tokens(shape, changed, card) >= engine.sequence_tokens]
    yield from fitting[:_MENDS]
