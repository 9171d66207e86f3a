"""Every metric azr knows. A name that is not here cannot be reported: a typo is an error, not a lost number."""

from __future__ import annotations

from azr.errors import AzrError
from azr.metrics.definition import Metric, Reduction
from azr.names import did_you_mean

#: Who reports, and what about.
OWNERS: dict[str, str] = {
    "reward": "What attempts and proposals earned.",
    "proposal": "What became of proposals.",
    "solve": "How attempts went.",
    "advantage": "Advantages as the learner got them.",
    "batch": "What a learner step was made of.",
    "buffer": "The task buffers.",
    "ledger": "Where every sample and token went.",
    "off_policy": "How old the data was and what corrected it.",
    "loss": "The objective and its parts.",
    "learner": "The optimiser and the learner's machine.",
    "rollout": "The engines.",
    "sync": "Weights on their way from learner to engines.",
    "sandbox": "Programs run.",
    "perf": "Speed.",
    "time": "Where a step's wall time went.",
    "eval": "Held-out tasks.",
    "safety": "Responses that the safety watch flagged.",
}


def _metric(name: str, unit: str, reduction: Reduction, description: str, by: str = "") -> Metric:
    return Metric(name=name, unit=unit, reduction=reduction, description=description, by=by)


_ALL = (
    _metric("reward/mean", "reward", "mean", "Mean reward.", "cell"),
    _metric("reward/distribution", "reward", "histogram", "Distribution of rewards.", "cell"),
    _metric("reward/learnability", "reward", "mean", "Learnability of valid proposals.", "task"),
    _metric("reward/term", "reward", "mean", "What an intrinsic term put in, weighed and capped.", "term"),
    _metric("reward/baseline", "reward", "last", "Running mean of the cell's rewards.", "cell"),
    _metric("reward/baseline_deviation", "reward", "last", "Running deviation of the cell's rewards.", "cell"),
    _metric("proposal/valid", "share", "mean", "Proposals that the gate let in.", "task"),
    _metric("proposal/refused", "proposals", "sum", "Proposals refused, by reason.", "reason"),
    _metric("proposal/solve_rate", "share", "histogram", "Solve rate of rated tasks.", "task"),
    _metric("proposal/at_extremes", "share", "mean", "Valid proposals solved by none or by all.", "task"),
    _metric("proposal/program_lines", "lines", "histogram", "Length of accepted programs.", "task"),
    _metric("proposal/complexity", "points", "mean", "Cognitive complexity of accepted programs.", "task"),
    _metric("solve/accuracy", "share", "mean", "Attempts that were right.", "task"),
    _metric("solve/malformed", "share", "mean", "Attempts without a readable answer.", "task"),
    _metric("solve/truncated", "share", "mean", "Responses cut off at the length limit.", "cell"),
    _metric("solve/retried", "attempts", "sum", "Attempts verified again because a clock ran out.", "task"),
    _metric("advantage/mean", "1", "mean", "Mean advantage.", "cell"),
    _metric("advantage/absolute", "1", "mean", "Mean absolute advantage.", "cell"),
    _metric("advantage/without_variance", "share", "mean", "Sequences of groups without variance, left out.", "cell"),
    _metric("batch/sequences", "sequences", "sum", "Sequences taken.", "cell"),
    _metric("batch/tokens", "tokens", "sum", "Response tokens taken.", "cell"),
    _metric("batch/response_tokens", "tokens", "histogram", "Length of responses.", "cell"),
    _metric("batch/missing", "groups", "sum", "Groups that the cell owed and nobody made up for.", "cell"),
    _metric("batch/replay_share", "share", "mean", "Attempts at tasks of earlier steps.", "task"),
    _metric("batch/loss_weight", "1", "mean", "What the cell's loss was multiplied by.", "cell"),
    _metric("buffer/tasks", "tasks", "sum", "Tasks held.", "task"),
    _metric("buffer/added", "tasks", "sum", "Tasks added.", "task"),
    _metric("buffer/evicted", "tasks", "sum", "Tasks that left a full buffer, so far.", "task"),
    _metric("buffer/duplicates", "tasks", "sum", "Tasks refused as duplicates, so far.", "task"),
    _metric("buffer/new", "tasks", "sum", "Tasks that nobody has attempted.", "task"),
    _metric("buffer/out", "tasks", "sum", "Tasks being attempted.", "task"),
    _metric("buffer/programs", "programs", "sum", "Different programs among the tasks.", "task"),
    _metric("buffer/visits_mean", "visits", "mean", "How often a held task was drawn.", "task"),
    _metric("buffer/estimate_age_mean", "steps", "mean", "Age of the held tasks' estimates of difficulty.", "task"),
    _metric("buffer/learnability_mean", "1", "mean", "Learnability of the held tasks that are rated.", "task"),
    _metric("buffer/age", "steps", "histogram", "Age of the tasks drawn, in policy versions.", "task"),
    _metric("buffer/priority", "1", "histogram", "Priority of the tasks drawn.", "task"),
    _metric("buffer/visits", "visits", "histogram", "How often the tasks drawn had been drawn before.", "task"),
    _metric("ledger/generated", "samples", "sum", "Samples that came into being.", "cell"),
    _metric("ledger/generated_tokens", "tokens", "sum", "Their response tokens.", "cell"),
    _metric("ledger/trained", "samples", "sum", "Samples trained on.", "cell"),
    _metric("ledger/trained_tokens", "tokens", "sum", "Their response tokens.", "cell"),
    _metric("ledger/discarded", "samples", "sum", "Samples dropped, by reason.", "reason"),
    _metric("ledger/discarded_tokens", "tokens", "sum", "Their response tokens.", "reason"),
    _metric("ledger/in_flight", "samples", "sum", "Generated, neither trained nor dropped yet.", "cell"),
    _metric("ledger/trained_share", "share", "last", "Of the tokens generated so far, groups without variance apart."),
    _metric(
        "off_policy/staleness", "steps", "histogram", "Steps between a sample's oldest weights and its step.", "cell"
    ),
    _metric("off_policy/version_span", "steps", "histogram", "Between a response's oldest and newest weights."),
    _metric("off_policy/mixed_versions", "share", "mean", "Responses sampled from more than one version."),
    _metric("off_policy/swept", "samples", "sum", "Samples too old when their batch left.", "cell"),
    _metric("off_policy/swept_length_q1", "share", "last", "Share swept of the shortest quarter of responses."),
    _metric("off_policy/swept_length_q2", "share", "last", "Share swept of the second quarter."),
    _metric("off_policy/swept_length_q3", "share", "last", "Share swept of the third quarter."),
    _metric("off_policy/swept_length_q4", "share", "last", "Share swept of the longest quarter."),
    _metric("off_policy/swept_length_alarm", "0 or 1", "max", "A quarter loses more than `staleness.sweep_alarm`."),
    _metric("off_policy/mismatch_k1", "nats", "mean", "KL of engine from learner at the same version, estimator k1."),
    _metric("off_policy/mismatch_k3", "nats", "mean", "The same, estimator k3."),
    _metric("off_policy/mismatch_max", "nats", "max", "Largest difference of log-probs at the same version."),
    _metric("off_policy/k1", "nats", "mean", "KL of behaviour from proximal policy, estimator k1."),
    _metric("off_policy/k3", "nats", "mean", "The same, estimator k3."),
    _metric("off_policy/chi2", "1", "mean", "Variance that importance weights bring."),
    _metric("off_policy/ess", "share", "mean", "Effective sample size under the weights."),
    _metric("off_policy/extreme_fraction", "share", "mean", "Tokens with a ratio outside one half to two."),
    _metric("off_policy/perplexity_gap", "factor", "mean", "Perplexity for the learner over that for the engine."),
    _metric("off_policy/weight", "1", "mean", "Mean correction weight."),
    _metric("off_policy/truncated_fraction", "share", "mean", "Weights at their cap."),
    _metric("off_policy/masked_fraction", "share", "mean", "Tokens masked, by rule.", "mask"),
    _metric("off_policy/dropped", "samples", "sum", "Samples kept out of a batch for broken log-probs.", "reason"),
    _metric("loss/policy", "1", "mean", "Policy loss."),
    _metric("loss/entropy", "nats", "mean", "Entropy of the policy per response token."),
    _metric("loss/ratio", "1", "mean", "Mean ratio of current to anchor policy."),
    _metric("loss/first_ratio_error", "1", "max", "Largest |ratio - 1| at the first mini-batch."),
    _metric("loss/ppo_kl", "nats", "mean", "KL of proximal from current policy."),
    _metric("loss/clip_low_fraction", "share", "mean", "Tokens clipped below."),
    _metric("loss/clip_high_fraction", "share", "mean", "Tokens clipped above."),
    _metric("loss/dual_clip_fraction", "share", "mean", "Tokens at the dual clip."),
    _metric("loss/trust_mask_fraction", "share", "mean", "Tokens outside `dppo_tv`'s trust region."),
    _metric("learner/grad_norm", "1", "mean", "Norm of the gradient before clipping."),
    _metric("learner/grad_norm_max", "1", "max", "Largest norm of the step."),
    _metric("learner/lr", "1", "last", "Learning rate."),
    _metric("learner/step", "steps", "last", "Learner steps done."),
    _metric("learner/skipped_updates", "updates", "sum", "Updates skipped because the gradient was not finite."),
    _metric("learner/micro_batches", "passes", "sum", "Forward and backward passes of a rank."),
    _metric("learner/empty_step", "steps", "sum", "Steps in which no sample carried a gradient."),
    _metric("learner/padding_share", "share", "mean", "Tokens of packed rows that are padding."),
    _metric("learner/memory", "bytes", "max", "Peak memory of a rank."),
    _metric("rollout/running", "requests", "mean", "Requests being generated.", "replica"),
    _metric("rollout/waiting", "requests", "mean", "Requests queued in the engine.", "replica"),
    _metric("rollout/kv_use", "share", "mean", "KV cache in use.", "replica"),
    _metric("rollout/prefix_hits", "share", "mean", "Prompt tokens found in the prefix cache.", "replica"),
    _metric("rollout/preempted", "requests", "sum", "Requests preempted.", "replica"),
    _metric("rollout/replicas", "replicas", "last", "Replicas that answer."),
    _metric("rollout/restarts", "restarts", "sum", "Replicas replaced."),
    _metric("rollout/retries", "requests", "sum", "Requests sent again after a replica died."),
    _metric(
        "sync/pause", "s", "histogram", "From the last token of the old weights to the first of the new.", "replica"
    ),
    _metric("sync/transfer", "s", "histogram", "Moving the weights."),
    _metric("sync/learner_wait", "s", "histogram", "What publishing held up the learner."),
    _metric("sync/bytes", "bytes", "sum", "Bytes moved."),
    _metric("sync/failures", "updates", "sum", "Updates that a replica did not confirm.", "replica"),
    _metric("sync/version", "steps", "last", "Version served.", "replica"),
    _metric("sandbox/executions", "runs", "sum", "Runs of programs."),
    _metric("sandbox/executions_per_second", "runs/s", "last", "Rate of runs."),
    _metric("sandbox/seconds", "s", "histogram", "Time of a job."),
    _metric("sandbox/status", "runs", "sum", "Runs by how they ended.", "status"),
    _metric("sandbox/workers_replaced", "workers", "sum", "Workers that died or were ended."),
    _metric("perf/generated_tokens_per_second", "tokens/s", "last", "Tokens generated."),
    _metric("perf/trained_tokens_per_second", "tokens/s", "last", "Tokens trained on."),
    _metric("perf/mfu", "share", "last", "Model FLOPs the learner used, of the machine's peak (causal count)."),
    _metric("perf/learner_idle", "share", "last", "Wall time the learner waited for data."),
    _metric("perf/rollout_idle", "share", "last", "Wall time the engines had nothing to do."),
    _metric("perf/memory", "bytes", "max", "Resident memory of a process.", "process"),
    _metric("time/step", "s", "last", "A whole step."),
    _metric("time/wait_for_batch", "s", "sum", "The learner without data."),
    _metric("time/forward", "s", "sum", "Forward passes without a gradient."),
    _metric("time/update", "s", "sum", "Forward, backward and optimiser."),
    _metric("time/publish", "s", "sum", "Copying weights out."),
    _metric("time/checkpoint", "s", "sum", "Writing a checkpoint."),
    _metric("time/bookkeeping", "s", "sum", "Rewards, advantages, buffers, ledger and journal."),
    _metric("time/evaluation", "s", "sum", "Held-out tasks."),
    _metric("time/elapsed", "s", "last", "Since the run began, time before a resume included."),
    _metric("eval/accuracy", "share", "last", "Held-out tasks solved.", "set"),
    _metric("eval/malformed", "share", "last", "Held-out answers that could not be read.", "set"),
    _metric("eval/tasks", "tasks", "last", "Held-out tasks asked.", "set"),
    _metric("safety/flagged", "responses", "sum", "Responses that a rule flagged.", "rule"),
    _metric("safety/flagged_share", "share", "mean", "Of those looked at, responses that any rule flagged.", "cell"),
    _metric("safety/quarantined", "responses", "sum", "Flagged responses left out of the gradient.", "cell"),
    _metric("safety/broken", "failures", "sum", "Times a detector failed.", "rule"),
)

METRICS: dict[str, Metric] = {metric.name: metric for metric in _ALL}


def find(name: str) -> Metric:
    """The metric of that name, a label at its end or not; an unknown one is refused with the nearest."""
    owner, _, rest = name.partition("/")
    short = f"{owner}/{rest.partition('/')[0]}"
    metric = METRICS.get(short)
    if metric is None or (name != short and not metric.by):
        raise AzrError(
            f"no metric is called {name!r}; {did_you_mean(short, METRICS)}", "define it in azr/metrics/catalogue.py"
        )
    return metric
