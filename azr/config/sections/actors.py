"""Configuration of the actors: how many propose and solve, on how many lanes, and the services they talk to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class ActorsConfig:
    """Proposers, solvers, and the services that hold tasks and experience."""

    proposers: int = 1
    """Proposer actors. One fills several engines; more are for more than one machine, or a slow gate."""
    solvers: int = 1
    """Solver actors."""
    proposer_lanes: int = 32
    """Proposals under way in each proposer at once, from the prompt to the acknowledgement."""
    solver_lanes: int = 32
    """Groups of attempts under way in each solver at once; each is one request of `algorithm.batch.attempts_per_task`
    samples to an engine."""
    sandbox_workers: int = 1
    """Sandbox processes of each actor."""
    experience_shards: int = 1
    """Shards of the experience service; quotas are split over them exactly, in whole groups."""
    task_shards: int = 1
    """Shards of the task service; each holds `buffers.capacity` over this number of tasks of each type."""
    journal_sync: str = "commit"
    """When a service's journal is safe from a power cut: `commit`, before each answer, by one sync for all calls that
    wait; `interval`, at most every `sync_seconds`; `never`. A killed process loses nothing under any of them."""
    sync_seconds: float = 1.0
    """See `journal_sync`."""
    shorten_mb: int = 256
    """A journal that outgrows this is replaced by a snapshot of what it led to."""
    heartbeat_seconds: float = 2.0
    """How often an actor tells the experience what it works on."""
    silence_seconds: float = 30.0
    """Work of an actor that is silent for so long is given to another. A restarted actor gives its own back at once."""
    grace_seconds: float = 10.0
    """How long a restarted service waits for owners to claim their work before it is given out anew."""
    poll_seconds: float = 1.0
    """How long a service keeps a question for work that it has none for, before it says so."""
    call_seconds: float = 90.0
    """How long a call to a service is tried again, across its restarts, before the caller gives up and says so."""
    generate_seconds: float = 600.0
    """How long a player's request may take, all tries included."""
    generate_tries: int = 3
    """How often one actor sends a request that gets no proper answer (too few responses, or some without tokens) before
    it gives up: a proposal is dropped as `poisoned`, attempts go to another actor, until `staleness.max_tries` have
    failed. It gives up at once where time is over, an engine refuses the request, or it failed at several replicas."""
    judge_tries: int = 3
    """How often a response is judged when the sandbox stumbles, before its group is dropped undecided."""
    reference_pool: int = 64
    """Tasks that a proposer fetches at a time to draw references from."""
    restart_seconds: float = 120.0
    """How long an actor or service of a run at work may take to come back before the run ends."""
