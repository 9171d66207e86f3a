"""One learner step: from a batch of samples to changed weights and the numbers that describe it.

Owns the optimiser, the order of a step and its determinism. Called by `learner.loop`, and by the supervised warm start
with another objective; knows nothing of Ray, of where batches come from or of where weights go.

    StepBatch
      │ screen out what cannot be trained on; deal prompts into mini-batches (seeded); pack each over ranks
      ▼
    proximal log-probs of later mini-batches ──► corrections ──► weight of each token
      ▼
    for each mini-batch:   for each micro-batch: forward, loss · coefficient, backward
                           clip the gradient's norm, update

The first mini-batch is scored by the proximal policy itself, so that it needs no pass of its own, unless a correction
looks at the whole batch at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import cast

import numpy as np
import torch
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor

from azr.config.sections.algorithm import LossConfig, OptimiserConfig
from azr.config.sections.learner import LearnerConfig
from learner.aggregation import Aggregation, sequence_coefficients
from learner.corrections.base import Ratios
from learner.diagnostics import RatioSums
from learner.losses.base import Share, TokenBatch, mean_of
from learner.losses.decoupled_ppo import interpolated_proximal
from learner.objective import Objective, effective_share
from learner.packing import pack
from learner.policy import Policy
from learner.prompt_groups import by_prompt, deal, tokens_of, units
from learner.reduction import Ranks, ShareSums
from learner.samples import MicroBatch, StepBatch, collate
from learner.screening import screen
from learner.sharding import prepare

#: Losses that look at the proximal policy; the others need its forward pass only when a correction does.
_PROXIMAL_LOSSES = ("decoupled_ppo", "gspo")


@dataclass(frozen=True)
class StepReport:
    """What a step did."""

    metrics: dict[str, float]
    samples: int
    tokens: int
    dropped: dict[int, str]
    """Samples, by their place in the batch, that were not trained on, and why."""


@dataclass
class _Work:
    """A micro-batch of this rank with what is computed of it before the first update."""

    batch: MicroBatch
    coefficients: Tensor
    proximal: Tensor
    weight: Tensor
    scored: bool = False
    """These two were made by a pass of their own, and counted in the step's gap."""


@dataclass
class _Gap:
    """How far the weights at a step's start are from those that sampled: over all tokens that were scored by them (the
    first mini-batch alone where the loss needs no proximal policy), and over their very own."""

    everywhere: RatioSums = field(default_factory=RatioSums)
    same_version: RatioSums = field(default_factory=RatioSums)
    caches_kept: bool = False
    """Engines go on with old keys and values (`weights.kv_on_update=keep`): what comes after a seam was sampled from no
    version's weights alone, so that responses of one version say something and no others."""

    def add(self, logprobs: Tensor, batch: MicroBatch, step: int) -> None:
        """Take in a micro-batch scored by the step's first weights."""
        own = batch.token_steps == step
        if self.caches_kept:
            others = torch.bincount(batch.sequence[~own], minlength=len(batch.indices))
            own &= others[batch.sequence] == 0
        self.everywhere += RatioSums.of(logprobs, batch.behaviour)
        self.same_version += RatioSums.of(logprobs[own], batch.behaviour[own])


@dataclass
class _Tally:
    """What a step adds up as it goes."""

    step: int
    gap: _Gap
    sums: ShareSums = field(default_factory=ShareSums)


def learning_rate(config: OptimiserConfig, updates: int) -> float:
    """The rate of the update after `updates` others: a linear warm-up, then constant or down a cosine to a tenth."""
    if updates < config.warmup_steps:
        return config.lr * (updates + 1) / config.warmup_steps
    if not config.decay_updates:
        return config.lr
    share = min(1.0, (updates - config.warmup_steps) / max(1, config.decay_updates - config.warmup_steps))
    return config.lr * (0.1 + 0.9 * 0.5 * (1.0 + math.cos(math.pi * share)))


class Trainer:
    """A policy, its optimiser and the objective it is trained on."""

    def __init__(
        self,
        policy: Policy,
        loss: LossConfig,
        optimiser: OptimiserConfig,
        learner: LearnerConfig,
        *,
        device: torch.device,
        temperature: float = 1.0,
        seed: int = 0,
        caches_kept: bool = False,
    ) -> None:
        self.ranks = Ranks.here(device)
        sharded = torch.distributed.is_initialized()
        mesh = init_device_mesh(device.type, (self.ranks.count,)) if sharded else None
        self.policy = prepare(policy, learner, device, mesh)
        self.policy.train()
        self.optimiser = torch.optim.AdamW(
            [parameter for parameter in self.policy.parameters() if parameter.requires_grad],
            lr=optimiser.lr,
            betas=(optimiser.beta1, optimiser.beta2),
            weight_decay=optimiser.weight_decay,
            fused=device.type == "cuda",
        )
        self.updates = 0
        self._loss, self._rates, self._learner = loss, optimiser, learner
        self._objective = Objective(loss)
        self._temperature, self._seed, self._device = temperature, seed, device
        self._caches_kept = caches_kept

    @property
    def device(self) -> torch.device:
        """Where the policy computes."""
        return self._device

    def restored(self, updates: int) -> None:
        """Go on from a checkpoint of this many updates, but with the configuration's own betas and weight decay: the
        optimiser's state brings along those of the run that wrote it."""
        self.updates = updates
        for group in self.optimiser.param_groups:
            group["betas"] = (self._rates.beta1, self._rates.beta2)
            group["weight_decay"] = self._rates.weight_decay

    def step(self, batch: StepBatch) -> StepReport:
        """Train on the batch; every rank is given the same one."""
        screening = screen(
            [len(sample.response_ids) for sample in batch.samples],
            [sample.behaviour_logprobs for sample in batch.samples],
        )
        dropped: dict[int, str] = dict(screening.dropped)
        kept = list(screening.kept)
        if not kept:
            return StepReport({"learner/empty_step": 1.0}, 0, 0, dropped)
        order = np.random.default_rng([self._seed, batch.step])
        minibatches = deal(by_prompt(batch.samples, kept), self._loss.minibatches, order)
        work = [self._prepare_minibatch(batch, members) for members in minibatches]
        tally = _Tally(batch.step, _Gap(caches_kept=self._caches_kept))
        if self._needs_proximal():
            self._fix_proximal(work if self._objective.whole_batch else work[1:], tally)
        norms: list[float] = []
        for index, micro_batches in enumerate(work):
            current = batch.step + index / len(work)
            name = f"mini-batch {index + 1} of {len(work)} of step {batch.step}"
            norms.append(self._update(micro_batches, tally, current_at=current, first=index == 0, name=name))
        metrics = self.ranks.means(tally.sums.shares)
        effective = effective_share(metrics, "off_policy/")
        if any(len(sample.token_steps) for sample in batch.samples):  # supervised pairs were sampled by nobody
            metrics |= self._named(tally.gap.everywhere, "off_policy/")
            metrics |= self._named(tally.gap.same_version, "off_policy/mismatch_")
            if effective is not None:
                metrics["off_policy/ess"] = effective
        metrics["learner/grad_norm"] = float(np.mean(norms))
        metrics["learner/lr"] = learning_rate(self._rates, self.updates - 1)
        metrics["learner/micro_batches"] = float(sum(len(micro_batches) for micro_batches in work))
        tokens = int(batch.lengths()[kept].sum())
        computed = sum(item.batch.input_ids.numel() for micro_batches in work for item in micro_batches)
        metrics["learner/computed_share"] = float(self.ranks.sum(torch.tensor(computed, device=self._device))) / tokens
        return StepReport(metrics, len(kept), tokens, dropped)

    @torch.no_grad()
    def score(self, batch: StepBatch) -> list[Tensor]:
        """Log-probs of each sample's response under the present weights, on every rank."""
        own: dict[int, Tensor] = {}
        for micro_batch in self._micro_batches(batch, range(len(batch.samples))):
            logprobs, _ = self.policy(micro_batch, self._temperature)
            for place, index in enumerate(micro_batch.indices):
                own[index] = logprobs[micro_batch.sequence == place].cpu()
        if self.ranks.count > 1:
            gathered: list[dict[int, Tensor]] = [{} for _ in range(self.ranks.count)]
            torch.distributed.all_gather_object(gathered, own)
            own = {index: logprobs for part in gathered for index, logprobs in part.items()}
        return [own[index] for index in range(len(batch.samples))]

    def _micro_batches(self, batch: StepBatch, members: Sequence[int]) -> list[MicroBatch]:
        """This rank's micro-batches of these samples."""
        budget = self._learner.tokens_per_micro_batch
        whole = units(batch.samples, members, budget, share=self._learner.share_prompts)
        packing = pack([tokens_of(batch.samples, unit) for unit in whole], budget, self.ranks.count)
        bins = packing.bins[self.ranks.rank]
        return [collate(batch.samples, [whole[place] for place in places], self._device) for places in bins]

    def _prepare_minibatch(self, batch: StepBatch, members: Sequence[int]) -> list[_Work]:
        """This rank's micro-batches of a mini-batch, with the coefficients that the whole of it determines."""
        coefficients = sequence_coefficients(
            cast(Aggregation, self._loss.aggregation),
            batch.response_lengths()[list(members)],
            np.array([batch.samples[index].prompt for index in members], dtype=np.int64),
            np.array([batch.samples[index].weight for index in members], dtype=np.float64),
            constant_length=self._loss.constant_length,
            chunk_sequences=self._loss.chunk_sequences,
        )
        places = {member: place for place, member in enumerate(members)}
        work = []
        for micro_batch in self._micro_batches(batch, members):
            chosen = [places[index] for index in micro_batch.indices]
            own = torch.as_tensor(coefficients[chosen], dtype=torch.float32, device=self._device)
            work.append(_Work(micro_batch, own, micro_batch.behaviour, torch.ones_like(micro_batch.behaviour)))
        return work

    def _needs_proximal(self) -> bool:
        wanted = self._loss.name in _PROXIMAL_LOSSES or self._loss.weight != "none" or bool(self._loss.masks)
        return wanted and self._loss.proximal == "recompute"

    @torch.no_grad()
    def _fix_proximal(self, work: list[list[_Work]], tally: _Tally) -> None:
        """Score micro-batches with the step's first weights, and make the corrections' factors of it."""
        flat = [item for micro_batches in work for item in micro_batches]
        if not flat:
            return
        for item in flat:
            item.proximal, _ = self.policy(item.batch, self._temperature)
            tally.gap.add(item.proximal, item.batch, tally.step)
        offset, sequences = 0, []
        for item in flat:
            sequences.append(item.batch.sequence + offset)
            offset += len(item.batch.indices)
        ratios = Ratios.of(
            torch.cat([item.proximal for item in flat]),
            torch.cat([item.batch.behaviour for item in flat]),
            torch.cat([item.batch.advantages for item in flat]),
            torch.cat(sequences),
            offset,
            gather=self.ranks.concatenate,
        )
        weight, metrics = self._objective.factors(ratios)
        tally.sums.add(metrics, "off_policy/")
        counts = [len(item.batch.targets) for item in flat]
        for item, part in zip(flat, torch.split(weight, counts), strict=True):
            item.weight, item.scored = part, True

    def _factors(self, batch: MicroBatch, proximal: Tensor, tally: _Tally) -> Tensor:
        """The corrections' weight of each token of one micro-batch; for corrections that look at no other."""
        ratios = Ratios.of(proximal, batch.behaviour, batch.advantages, batch.sequence, len(batch.indices))
        weight, metrics = self._objective.factors(ratios)
        tally.sums.add(metrics, "off_policy/")
        return weight

    def _named(self, sums: RatioSums, prefix: str) -> dict[str, float]:
        """The diagnostics of all ranks' sums."""
        numbers = self.ranks.sum(torch.tensor(sums.numbers(), dtype=torch.float64, device=self._device))
        return {prefix + name: value for name, value in RatioSums(*numbers.tolist()).report().items()}

    def _update(self, work: list[_Work], tally: _Tally, *, current_at: float, first: bool, name: str) -> float:
        """One optimiser update from a mini-batch's micro-batches; returns the gradient's norm before clipping.

        `name` is what an error calls the mini-batch.
        """
        self.optimiser.zero_grad(set_to_none=True)
        among = self.ranks.count * len(work)
        for item in work:
            loss, metrics = self._loss_of(item, tally, current_at=current_at, first=first, among=among)
            # FSDP averages gradients over ranks; the coefficients already share the whole batch out.
            (loss * self.ranks.count).backward()  # type: ignore[no-untyped-call]
            tally.sums.add(metrics, "learner/")
        norm = torch.nn.utils.clip_grad_norm_(
            [parameter for parameter in self.policy.parameters() if parameter.grad is not None],
            self._rates.grad_clip if self._rates.grad_clip > 0 else math.inf,
        )
        whole = norm.full_tensor() if isinstance(norm, DTensor) else norm
        value = float(whole)
        if not math.isfinite(value):
            raise FloatingPointError(
                f"{name} was not applied, for its gradient's norm is {value}: the ranks go back to the newest "
                "checkpoint; look at off_policy/* of the last steps and at the batch that was taken"
            )
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self._rates, self.updates)
        self.optimiser.step()
        self.updates += 1
        return value

    def _loss_of(
        self, item: _Work, tally: _Tally, *, current_at: float, first: bool, among: int
    ) -> tuple[Tensor, dict[str, Share]]:
        """What a micro-batch adds to its mini-batch's loss, and what is told of it.

        `first`: the weights are those of the step's start. `among`: micro-batches of the mini-batch, all ranks'.
        """
        with_entropy = self._learner.report_entropy or self._loss.entropy_coefficient != 0.0
        logprobs, entropy = self.policy(item.batch, self._temperature, with_entropy)
        proximal, weight = item.proximal, item.weight
        if first and not item.scored:
            tally.gap.add(logprobs, item.batch, tally.step)
        if self._loss.proximal == "interpolate":
            proximal = interpolated_proximal(
                logprobs,
                item.batch.behaviour,
                sampled_at=item.batch.token_steps,
                proximal_at=torch.full_like(item.batch.token_steps, tally.step),
                current_at=torch.full_like(logprobs.detach(), current_at),
            )
            weight = self._factors(item.batch, proximal, tally)
        elif self._needs_proximal() and not item.scored:  # by the first weights: they are the proximal policy's
            proximal = logprobs.detach()
            weight = self._factors(item.batch, proximal, tally)
        batch = TokenBatch(
            current=logprobs,
            proximal=proximal,
            behaviour=item.batch.behaviour,
            advantages=item.batch.advantages,
            sequence=item.batch.sequence,
            sequences=len(item.batch.indices),
        )
        loss, metrics = self._objective.loss(batch, weight, item.coefficients)
        metrics |= {"loss": Share(loss.detach(), torch.ones_like(loss) / among)}
        if len(logprobs):
            anchor = item.batch.behaviour if self._loss.name not in _PROXIMAL_LOSSES else proximal
            moved = logprobs.detach() - anchor
            metrics |= {"ppo_kl": mean_of(-moved)}
        if entropy is not None:
            metrics |= {"entropy": mean_of(entropy)}
            if self._loss.entropy_coefficient != 0.0:  # or the head would go backward through it for nothing
                per_token = item.coefficients[item.batch.sequence] * entropy
                loss = loss - self._loss.entropy_coefficient * per_token.sum()
        return loss, metrics


def supervised(loss: LossConfig) -> LossConfig:
    """The loss settings of supervised training: the likelihood of the responses, one update a step."""
    return replace(loss, name="reinforce", weight="none", masks=[], minibatches=1, entropy_coefficient=0.0)
