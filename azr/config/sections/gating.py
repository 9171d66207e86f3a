"""Configuration of what counts: what the gate demands, how answers compare, how long texts may be, and seeding.

Read through `GateRules.of`, `VerifyRules.of` and `SeedingSettings.of` (`azr.game`), and by the command line for its
defaults. What may not be combined is told by `azr.config.sections.gating_rules.problems`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class GatingConfig:
    """What makes a proposal a task, and an answer right."""

    induction_inputs: int = 10
    """Inputs of an induction task (published: 10)."""
    induction_shown: int = 5
    """How many of its pairs the solver sees; the hidden rest judges whether it generalised (published: half)."""
    probes: int = 2
    """Runs of each input, in interpreters that differ in hash seed, random seed and clock, and of which the first alone
    gets all of the recursion and memory that a run may have (the others get three quarters of the frames, and half of
    `sandbox.memory_mb`); a program that does not always end in the same way is refused. Published: 2, in one
    process and at one time, where hash order cannot differ. The `wasm` back end ships two interpreters; more probes
    need `process`."""
    duplicate_by: str = "program_and_inputs"
    """What makes two tasks the same: `program_and_inputs` (a program may return with other inputs, in abduction with
    other outputs), or `program` (tasks of one pair: once a program). Published: nothing, tasks repeat."""
    equality: str = "python"
    """When an answer's value is the expected one: `python`, as `==` says on built-in types, with nan equal to nan
    (published: `==`); `exact`: type by type, the sign of zero included."""


@dataclass
class LengthsConfig:
    """How long texts may be, in tokens as the solver's model counts them (in characters where no tokenizer is at hand).

    Nothing is cut to fit: what is too long is refused, or in the case of references drawn again.
    """

    output: int = 2000
    """Longest output of a task, which a solver may have to write; never more than `response` holds. Published: cut at
    400 characters, which makes the task unsolvable."""
    prompt: int = 6144
    """Longest prompt that a solver is given (published: 6,144); tasks that need a longer one are refused."""
    content: int = 5600
    """Longest prompt for a proposer (published: 5,600); where references do not fit others are drawn, then fewer."""
    response: int = 8096
    """Longest response that is sampled (published: 8,096); what is cut off there earns `solver_reward.truncated`."""


@dataclass
class SeedingConfig:
    """From the identity function to the first tasks, by the base model itself."""

    triplets: int = 256
    """Programs with one input, which serve deduction and abduction alike and which induction works on (published: 256);
    none where none of the three is in play."""
    inductions: int = 256
    """Induction tasks, where that type is in play (published: 256)."""
    batch: int = 64
    """Proposals asked for at a time (published: 64)."""
    stall_batches: int = 20
    """Batches in a row without a new task before seeding gives up. Published: never."""
    file: str = ""
    """Tasks to begin with instead, as JSON lines that `azr seed make` or `azr seed import` wrote; those beyond
    `lengths` are left out. Empty: the model makes its own."""
