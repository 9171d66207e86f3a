"""What proposals earn: learnability from their rating, intrinsic terms on top, fixed amounts where there is neither.

Called by the experience service once the ratings of a batch of proposals are in. Holds the memories of terms that have
one, for the checkpoint.

    invalid ──────────────────────────────────────────────► invalid (-1)
    valid ──► k of n ──► learnability = 0 ─────────────────► at_extremes (0, or the published -0.5)
                             └─ > 0 ──► combined with the capped terms that are on
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from azr.config.sections.algorithm import ProposerRewardConfig
from azr.game.rewards.combine import COMBINATIONS, capped
from azr.game.rewards.learnability import LEARNABILITIES
from azr.game.rewards.registry import make_term
from azr.game.rewards.term import RatedProposal, Remembering, Term, judges_program


@dataclass(frozen=True, slots=True)
class ProposalReward:
    """A proposal's reward and what it is made of."""

    reward: float
    learnability: float = 0.0
    terms: Mapping[str, float] = field(default_factory=dict)
    """Of each term that is on: what it put in, weighed and capped. Empty where terms are not asked."""


def asks_for_facts(config: ProposerRewardConfig) -> bool:
    """Whether any term is on, one's own among them: then proposals must bring the facts of their programs along."""
    return any(term.coefficient != 0.0 for term in config.terms.values())


class ProposerReward:
    """Judges batches of rated proposals."""

    def __init__(self, config: ProposerRewardConfig) -> None:
        self.config = config
        self._learnability = LEARNABILITIES[config.learnability]
        self._combine = COMBINATIONS[config.combination]
        self._terms: dict[str, Term] = {
            name: make_term(name, term) for name, term in config.terms.items() if term.coefficient != 0.0
        }
        self._unused = self.to_state()

    def rewards(self, batch: Sequence[RatedProposal]) -> list[ProposalReward]:
        """One reward a proposal, in order. Only valid proposals with some learnability reach the terms, and those that
        judge programs only the proposals that wrote theirs."""
        learnability = [self._learnable(proposal) for proposal in batch]
        asked = [index for index, value in enumerate(learnability) if value > 0.0]
        bonuses = self._bonuses([batch[index] for index in asked])
        terms = dict(zip(asked, bonuses, strict=True))
        return [
            self._reward(proposal, learnability[index], terms.get(index, {})) for index, proposal in enumerate(batch)
        ]

    def to_state(self) -> dict[str, bytes]:
        """The memories of terms that have one."""
        return {name: term.to_bytes() for name, term in self._terms.items() if isinstance(term, Remembering)}

    def restore(self, state: Mapping[str, bytes]) -> None:
        """Take up the memories of a checkpoint; one of a term that is off now is passed over, and a term of which there
        is none begins anew."""
        for name, term in self._terms.items():
            if isinstance(term, Remembering):
                term.restore(state[name] if name in state else self._unused[name])

    def _learnable(self, proposal: RatedProposal) -> float:
        if not proposal.valid:
            return 0.0
        if not 0 <= proposal.right <= proposal.attempts or proposal.attempts == 0:
            raise ValueError(
                f"a valid proposal with {proposal.right} right of {proposal.attempts} attempts is not rated yet: "
                "wait for its attempts, or drop its whole group"
            )
        return self._learnability(proposal.right, proposal.attempts, self.config.target_rate)

    def _bonuses(self, batch: Sequence[RatedProposal]) -> list[dict[str, float]]:
        bonuses: list[dict[str, float]] = [{} for _ in batch]
        for name, term in self._terms.items():
            # Left out of a bonus, a term neither adds nor multiplies.
            owed = [place for place, one in enumerate(batch) if not (one.program_given and judges_program(term))]
            if not owed:
                continue
            values = _numbers(name, term, [batch[place] for place in owed])
            if len(values) != len(owed) or not all(map(math.isfinite, values)):
                raise ValueError(f"the reward term `{name}` must give one finite value a proposal, not {values}")
            settings = self.config.terms[name]
            for place, value in zip(owed, values, strict=True):
                bonuses[place][name] = capped(value, settings.coefficient, settings.cap)
        return bonuses

    def _reward(self, proposal: RatedProposal, learnability: float, terms: Mapping[str, float]) -> ProposalReward:
        if not proposal.valid:
            return ProposalReward(self.config.invalid)
        if learnability <= 0.0:
            return ProposalReward(self.config.at_extremes)
        combined = self._combine(learnability, list(terms.values())) if terms else learnability
        return ProposalReward(combined, learnability, terms)


def _numbers(name: str, term: Term, batch: Sequence[RatedProposal]) -> list[float]:
    """What a term gives, as Python's own numbers: records and metrics hold none of numpy's or torch's."""
    try:
        return [float(value) for value in term.values(batch)]
    except Exception as error:
        raise ValueError(
            f"the reward term `{name}` does not give one number a proposal: {type(error).__name__}: {error}"
        ) from error
