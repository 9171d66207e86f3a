"""Runs one attack against a sandbox and says whether the outcome is the one its file states.

Used by the tests and by `azr bench attacks`. Nothing here looks into an attack's text: it travels as data to the
sandbox, the gate and the verifier, and what comes back is compared with what the file allows.

    Entry ──► jobs, gate plan or verify plan ──► Sandbox ──► outcomes ─┬─► stated? ──► Finding
                                    planted things (world.py) ─────────┤
                                    a harmless program, right after ───┘
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Iterator
from dataclasses import dataclass

from azr.game import tasks
from azr.game.gate import GateRules
from azr.game.plan import drive
from azr.game.reasons import STUMBLES
from azr.game.types import Candidate, Refusal, Task
from azr.game.verification import VerifyRules
from sandbox_wasm.protocol import (
    InspectJob,
    InspectResult,
    LiteralJob,
    LiteralResult,
    Outcome,
    RunJob,
    RunResult,
    Sandbox,
)
from tests.attacks.corpus import (
    TIGHT,
    Attack,
    Effect,
    Entry,
    GateAttack,
    LeakAttack,
    ParserAttack,
    RunAttack,
    VerifyAttack,
)
from tests.attacks.world import World

#: What a call may take beyond its own wall-clock limit before it counts as having held up its caller. Generous, because
#: the machine may be busy; how exactly limits are kept is measured elsewhere.
SLACK_SECONDS = 10.0

#: Ends that decide nothing. That a task's expected output cannot be read is not among them: no program says so.
_UNDECIDED = STUMBLES | {"unreadable_input"}

#: Longest error text that may reach the host.
LONGEST_ERROR = 2_000

#: Whether the kernel can keep a process from files; the process back end leans on it.
LANDLOCK = ctypes.CDLL(None).syscall(444, None, 0, 1) > 0

#: Sent after every attack: whoever runs next must not notice.
CANARY = RunJob(program="def f(x):\n    return sorted({x, 1, len('abc')})", inputs=("41",))
CANARY_LITERAL = "[1, 3, 41]"


@dataclass(frozen=True)
class Finding:
    """What one attack came to against one back end."""

    attack: str
    backend: str
    outcome: str
    """In a word or two: status, reason or verdict. Made of the host's words, so that it can be printed."""
    escaped: tuple[Effect, ...] = ()
    """What it did to planted things."""
    leaked: bool = False
    accepted: bool = False
    """Whether a cheat got through: a verdict `correct`, or a task that should not be one."""
    undecided: bool = False
    """Whether the attack's own program brought about an end for which we would take the blame, and it none."""
    wrong: str = ""
    """Why the outcome is not the one stated; empty when it is."""
    seconds: float = 0.0

    @property
    def stated(self) -> bool:
        """Whether all is as the file says."""
        return not (self.wrong or self.escaped or self.leaked or self.accepted or self.undecided)


def judge(entry: Entry, sandbox: Sandbox, backend: str, world: World) -> Finding:
    """Run the attack and a harmless program after it."""
    attack = entry.attack
    started = time.monotonic()
    outcome, wrong, answer = _run(attack, sandbox, backend, world)
    if "retry" in outcome.split("/"):  # the machine may have been busy: the game asks again, too
        outcome, wrong, answer = _run(attack, sandbox, backend, world)
    seconds = time.monotonic() - started
    (canary,) = sandbox.run_many([CANARY])
    value = canary.outcomes[0].value if isinstance(canary, RunResult) else None
    if not wrong and (value is None or value.literal != CANARY_LITERAL):
        wrong = f"the program after it gave {canary}"
    if not wrong and seconds > _allowance(attack) + SLACK_SECONDS:
        wrong = f"held up its caller for {seconds:.1f} s"
    allowed = attack.without_landlock if backend == "process" and isinstance(attack, RunAttack) and not LANDLOCK else ()
    return Finding(
        attack=entry.id,
        backend=backend,
        outcome=outcome,
        escaped=tuple(sorted(world.effects(answer) - set(allowed))),
        leaked=outcome == "leaked",
        undecided=not _UNDECIDED.isdisjoint(outcome.split("/")),
        accepted=outcome == "correct" or (isinstance(attack, GateAttack) and outcome == "accepted" and bool(wrong)),
        wrong=wrong,
        seconds=seconds,
    )


def _run(attack: Attack, sandbox: Sandbox, backend: str, world: World) -> tuple[str, str, str]:
    """Outcome, why it is not the stated one, and the text of all that came back."""
    match attack:
        case RunAttack():
            return _program(attack, sandbox, backend, world)
        case LeakAttack():
            return _leak(attack, sandbox)
        case GateAttack():
            return _gate(attack, sandbox, world)
        case VerifyAttack():
            return _verify(attack, sandbox, world)
        case ParserAttack():
            return _parse(attack, sandbox)
    raise TypeError(f"no such kind of attack: {type(attack).__name__}")


def _program(attack: RunAttack, sandbox: Sandbox, backend: str, world: World) -> tuple[str, str, str]:
    job = RunJob(program=world.fill(attack.program), inputs=(attack.input,), limits=attack.limits)
    (outcome,) = _outcomes(sandbox, job)
    allowed = attack.process_status if backend == "process" else attack.status
    wrong = _against(outcome, allowed, attack.value)
    if not wrong and backend != "process" and attack.error not in outcome.error:
        wrong = f"the error does not speak of {attack.error}: {outcome.error!r}"
    return outcome.status, wrong, str(outcome)


def _against(outcome: Outcome, allowed: tuple[str, ...], value: str | None) -> str:
    if outcome.status not in allowed:
        return f"{outcome.status}, not {' or '.join(allowed)}: {outcome.error[:200]!r} {outcome.value}"
    if value is not None and outcome.value is not None and outcome.value.literal != value:
        return f"gives {outcome.value.literal[:200]!r}, not {value!r}"
    if len(outcome.error) > LONGEST_ERROR:
        return f"an error of {len(outcome.error)} characters"
    return ""


def _leak(attack: LeakAttack, sandbox: Sandbox) -> tuple[str, str, str]:
    first, second = attack.inputs
    jobs: list[RunJob]
    if attack.then:
        attacker = RunJob(program=attack.first, inputs=(first,), limits=TIGHT)
        victim = RunJob(program=attack.then, inputs=(second,), limits=TIGHT)
        jobs = [victim, attacker, victim, attacker, victim]
    else:  # one program on several inputs, which share its compiled code and must share nothing else
        jobs = [RunJob(program=attack.first, inputs=(first, second, first, second), limits=TIGHT)]
    outcomes = [outcome for job in jobs for outcome in _outcomes(sandbox, job)]
    judged = outcomes[0::2] if attack.then else outcomes[1::2]
    for outcome in outcomes:
        if outcome.status in _UNDECIDED:
            return outcome.status, f"{outcome.status}: {outcome.error[:200]!r}", str(outcomes)
    for outcome in judged:
        if outcome.value is None or outcome.value.literal != attack.clean:
            return "leaked", f"gives {outcome}, not {attack.clean}", str(outcomes)
    return "clean", "", str(outcomes)


def _gate(attack: GateAttack, sandbox: Sandbox, world: World) -> tuple[str, str, str]:
    known: set[str] = set()
    rules = GateRules(
        limits=TIGHT,
        induction_inputs=len(attack.inputs),
        induction_shown=len(attack.inputs) // 2,
        known=known.__contains__,
    )
    kind = tasks.task_type(attack.task)
    if attack.known:
        earlier = drive(kind.gate(_candidate(attack, attack.known, world), rules), sandbox)
        if isinstance(earlier, Refusal):
            return "refused", f"the known program is not a task: {earlier}", ""
        known.add(earlier.fingerprint)
    judged = drive(kind.gate(_candidate(attack, attack.program, world), rules), sandbox)
    word = judged.reason if isinstance(judged, Refusal) else "accepted"
    wrong = ""
    if word not in attack.reasons:
        wrong = f"{word}, not {' or '.join(attack.reasons)}: {judged}"
    elif isinstance(judged, Task) and attack.outputs and judged.outputs != attack.outputs:
        wrong = f"gives {judged.outputs}, not {attack.outputs}"
    return word, wrong, str(judged)


def _candidate(attack: GateAttack, program: str, world: World) -> Candidate:
    inputs = tuple(world.fill(text) for text in attack.inputs)
    return Candidate(program=program, inputs=inputs, message=attack.message)


def _verify(attack: VerifyAttack, sandbox: Sandbox, world: World) -> tuple[str, str, str]:
    task = Task(
        id=attack.task,
        task_type=attack.task,
        program=attack.program,
        inputs=attack.inputs,
        outputs=attack.outputs,
        shown=attack.shown,
    )
    plan = tasks.task_type(attack.task).verify(task, world.fill(attack.answer), VerifyRules(limits=TIGHT))
    verdict = drive(plan, sandbox)
    wrong = ""
    if verdict.correct or not verdict.reason.startswith(attack.reasons):
        wrong = f"{verdict.reason}, not {' or '.join(attack.reasons)}: {verdict}"
    return verdict.reason, wrong, str(verdict)


def _parse(attack: ParserAttack, sandbox: Sandbox) -> tuple[str, str, str]:
    jobs = (
        InspectJob(program=attack.text),
        LiteralJob(texts=(attack.text,), form="value"),
        LiteralJob(texts=(attack.text,), form="arguments"),
        RunJob(program=attack.text, inputs=(attack.input,), limits=TIGHT),
    )
    inspected, *read = sandbox.run_many(jobs)
    value, arguments, ran = (outcome for result in read for outcome in _of(result))
    assert isinstance(inspected, InspectResult)
    wrong = ""
    if inspected.reason not in attack.inspect:
        wrong = f"inspection: {inspected.reason or 'parses'}, not {attack.inspect}: {inspected.detail[:200]!r}"
    for what, outcome, allowed, stated in (
        ("as a value", value, attack.literal, None),
        ("as arguments", arguments, attack.literal, None),
        ("run", ran, attack.run, attack.value),
    ):
        if not wrong and (problem := _against(outcome, allowed, stated)):
            wrong = f"{what}: {problem}"
    return f"{inspected.reason or 'parses'}/{value.status}/{ran.status}", wrong, ""


def _outcomes(sandbox: Sandbox, job: RunJob) -> Iterator[Outcome]:
    (result,) = sandbox.run_many([job])
    return _of(result)


def _of(result: object) -> Iterator[Outcome]:
    assert isinstance(result, (RunResult, LiteralResult))
    return iter(result.outcomes)


def _allowance(attack: Attack) -> float:
    """Wall-clock limits of all the runs an attack asks for, one after the other."""
    runs = 10 if isinstance(attack, (LeakAttack, GateAttack, VerifyAttack)) else 2
    return runs * TIGHT.wall_seconds
