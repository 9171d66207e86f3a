"""Rewards: what attempts and proposals earn. One file a term; `proposer.py` puts them together."""

from azr.game.rewards.proposer import ProposalReward, ProposerReward
from azr.game.rewards.solver import solver_reward
from azr.game.rewards.term import Answer, RatedProposal, Term

__all__ = ["Answer", "ProposalReward", "ProposerReward", "RatedProposal", "Term", "solver_reward"]
