"""What a learner step reports, under the names of the catalogue. Called by the observer on rank 0.

The learner names its numbers by the part that made them (`off_policy/token_tis/weight`), and does not know the
catalogue; here each finds its place, and a name that has none is an error in a test, not a lost number in a run. What
the loss of a plug-in reports of itself is kept under `loss/own`.
"""

from __future__ import annotations

from collections.abc import Mapping

from azr.metrics import Accumulator
from azr.metrics.catalogue import METRICS
from learner.trainer import StepReport

#: The learner's word, without its owner, to the catalogue's.
_LOSS = {
    "loss": "loss/policy",
    "entropy": "loss/entropy",
    "ratio": "loss/ratio",
    "clip_low_fraction": "loss/clip_low_fraction",
    "clip_high_fraction": "loss/clip_high_fraction",
    "dual_clip_fraction": "loss/dual_clip_fraction",
    "trust_mask_fraction": "loss/trust_mask_fraction",
    "ppo_kl": "loss/ppo_kl",
}
_MASKED = "_masked_fraction"
#: Of tokens at the same version only the divergence says something that the catalogue keeps.
_PASSED_OVER = ("mismatch_chi2", "mismatch_ess", "mismatch_extreme_fraction", "mismatch_perplexity_gap")
_PHASES = {
    "wait": "wait_for_batch",
    "prepare": "bookkeeping",
    "step": "update",
    "publish": "publish",
    "checkpoint": "checkpoint",
}


def catalogued(name: str) -> tuple[str, str] | None:
    """The catalogue's name and label for a number of the learner's; None for one that is passed over."""
    owner, _, rest = name.partition("/")
    if owner == "learner":
        return (_LOSS.get(rest, name), "") if rest in _LOSS or name in METRICS else ("loss/own", rest)
    last = rest.rpartition("/")[2]
    if last.endswith(_MASKED):
        return "off_policy/masked_fraction", last.removesuffix(_MASKED)
    if last in _PASSED_OVER:
        return None
    return f"off_policy/{last}", ""


def tell_step(metrics: Accumulator, step: int, report: StepReport, seconds: Mapping[str, float]) -> None:
    """A learner step's numbers, and where its time went."""
    for name, value in report.metrics.items():
        place = catalogued(name)
        if place is not None and place[0] in METRICS:
            metrics.add(place[0], value, label=place[1], at=step)
    for reason in report.dropped.values():
        metrics.add("off_policy/dropped", 1.0, label=reason)
    metrics.add("learner/step", step, at=step)
    whole = sum(seconds.values())
    metrics.add("time/step", whole, at=step)
    for phase, value in seconds.items():
        metrics.add(f"time/{_PHASES[phase]}", value)
    if whole > 0.0:
        metrics.add("perf/trained_tokens_per_second", report.tokens / whole, at=step)
        metrics.add("perf/learner_idle", seconds.get("wait", 0.0) / whole, at=step)
