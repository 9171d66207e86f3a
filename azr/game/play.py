"""The two acts of the game from end to end: a proposer's response to a Task, a solver's response to a Verdict.

Called by proposers, solvers and seeding; puts a frame and a task type together and adds nothing of its own.

    response ─Frame.extract─► answer ─parse_proposal─► Candidate ─gate─► Task      or a Refusal from any of the three
    response ─Frame.extract─► answer ─parse_answer──► text ────verify──► Verdict   or a malformed one
"""

from __future__ import annotations

from collections.abc import Sequence

from azr.game import verification
from azr.game.frames import Frame
from azr.game.gate import GateRules
from azr.game.plan import Plan
from azr.game.tasks import Ask, TaskType
from azr.game.tasks.base import KnowsAnAnswer
from azr.game.types import Refusal, Task, Verdict
from azr.game.verification import VerifyRules
from sandbox_wasm.protocol import Facts, InspectJob, InspectResult


def propose_prompt(kind: TaskType, ask: Ask, frame: Frame) -> str:
    """What the proposer's model is given."""
    return frame.wrap(kind.propose_prompt(ask, frame.style))


def solve_prompt(task: Task, kind: TaskType, frame: Frame) -> str:
    """What the solver's model is given."""
    return frame.wrap(kind.solve_prompt(task, frame.style))


def reads_back(task: Task, kind: TaskType, frame: Frame) -> bool:
    """Whether a response that gives the known answer, written as the solver is asked to, is read as just that answer.

    One that holds a tag of the frame is not: a solver who is right would be told that there is no answer. A type that
    does not say how its answers are written is not checked.
    """
    if not isinstance(kind, KnowsAnAnswer):
        return True
    answer, written = kind.known_answer(task, frame.style)
    said = frame.extract(frame.respond(written))
    return not isinstance(said, Refusal) and kind.parse_answer(said, frame.style) == answer


def judge_proposal(kind: TaskType, response: str, ask: Ask, frame: Frame, rules: GateRules) -> Plan[Task | Refusal]:
    """Read a proposer's response and carry it through the gate."""
    answer = frame.extract(response)
    if isinstance(answer, Refusal):
        return answer
    candidate = kind.parse_proposal(answer, ask, frame.style)
    if isinstance(candidate, Refusal):
        return candidate
    return (yield from kind.gate(candidate, rules))


def facts_of_all(programs: Sequence[str]) -> Plan[tuple[Facts, ...]]:
    """What the syntax of programs says that passed the gate, for terms of the proposer's reward; in one round."""
    results = yield tuple(InspectJob(program=program) for program in programs)
    return tuple(result.facts for result in results if isinstance(result, InspectResult) and result.facts is not None)


def judge_attempt(
    kind: TaskType, task: Task, response: str, frame: Frame, rules: VerifyRules, truncated: bool = False
) -> Plan[Verdict]:
    """Read a solver's response and verify it. A truncated one is wrong whatever it holds: it was never finished."""
    if truncated:
        return verification.fell_short("truncated")
    said = frame.extract(response)
    answer = said if isinstance(said, Refusal) else kind.parse_answer(said, frame.style)
    if isinstance(answer, Refusal):
        return verification.malformed(answer.reason, answer.detail)
    return (yield from kind.verify(task, answer, rules))
