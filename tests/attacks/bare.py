"""Shows that an attack works: runs it against bare `exec` in a disposable child and reports what it did.

The child is limited (memory, file size, open files, its own session, a deadline after which the whole session is
killed), works in the attack's own folder, and can reach nothing but what `world.py` planted.

    attack ──fill──► job ──► python naive.py ──► answer line, exit status, planted things ──► effects
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.attacks.corpus import (
    Attack,
    Effect,
    Entry,
    GateAttack,
    LeakAttack,
    ParserAttack,
    RunAttack,
    VerifyAttack,
)
from tests.attacks.world import SECRET_VARIABLE, World, planted

#: A child that has not ended by now hangs; ordinary ones end in some 70 ms. Where something else than a hang is
#: expected and has not shown by then, the machine may be slow: it gets a second, patient run.
DEADLINE_SECONDS = 0.7
PATIENT_SECONDS = 60.0

#: Children at a time. More would make each too slow for its deadline on a small machine.
SIDE_BY_SIDE = 4

#: Memory of a child, so that a memory bomb ends in MemoryError instead of hurting the machine.
MEMORY_BYTES = 160 << 20

#: An answer longer than this has flooded its reader. The child may write little more than this to any file.
FLOOD_BYTES = 1 << 20

#: Given to stray grandchildren to show themselves.
STRAY_SECONDS = 0.4


def effects_of_all(entries: Iterable[Entry]) -> dict[str, set[Effect]]:
    """What each attack achieves, several at a time: those that hang wait for their deadlines side by side."""

    def one(entry: Entry) -> tuple[str, set[Effect]]:
        with planted() as world:
            return entry.id, effects(entry.attack, world)

    with ThreadPoolExecutor(SIDE_BY_SIDE) as threads:
        return dict(threads.map(one, entries))


def effects(attack: Attack, world: World) -> set[Effect]:
    """All that the attack achieves against bare `exec`."""
    found = _effects(attack, world, DEADLINE_SECONDS)
    return found if attack.bare in found else _effects(attack, world, PATIENT_SECONDS)


def _effects(attack: Attack, world: World, deadline: float) -> set[Effect]:
    if isinstance(attack, RunAttack):
        job = {"mode": "run", "program": attack.program, "input": attack.input, "alarm": attack.alarm}
        found, answer = _child(job, world, deadline)
        if answer.get("memory"):
            found.add("memory")
        if answer.get("value") == "'forged'":
            found.add("forged")
        return found
    if isinstance(attack, LeakAttack):
        return _leak(attack, world, deadline)
    if isinstance(attack, GateAttack):
        return _gate(attack, world, deadline)
    if isinstance(attack, VerifyAttack):
        job = {
            "mode": "verify",
            "task": attack.task,
            "program": attack.program,
            "inputs": attack.inputs,
            "outputs": attack.outputs,
            "answer": attack.answer,
            "shown": attack.shown,
        }
        found, answer = _child(job, world, deadline)
        return found | ({"accepted"} if answer.get("accepted") is True else set())
    assert isinstance(attack, ParserAttack)
    job = {"mode": "parse", "text": attack.text, "reader": attack.reader, "input": attack.input}
    found, answer = _child(job, world, deadline)
    if "value" in answer and answer["value"] != attack.value:
        found.add("forged")
    if "died" in found and answer.get("status") == 1:  # a traceback: an exception went past the caller
        found = (found - {"died"}) | {"raised"}
    return found


def _leak(attack: LeakAttack, world: World, deadline: float) -> set[Effect]:
    first, second = attack.inputs
    job = {"mode": "sequence", "steps": [[attack.first, first], [attack.then or None, second]]}
    found, answer = _child(job, world, deadline)
    values = answer.get("values", [])
    if not values or values[-1] == attack.clean:
        return found
    alone = {"mode": "sequence", "steps": [[attack.then or attack.first, second]]}
    _, undisturbed = _child(alone, world, deadline)  # in a process of its own it must be clean, or nothing is shown
    return found | ({"leaked"} if undisturbed.get("values") == [attack.clean] else set())


def _gate(attack: GateAttack, world: World, deadline: float) -> set[Effect]:
    job = {"mode": "gate", "program": attack.program, "inputs": attack.inputs}
    found, one = _child(job, world, deadline, hash_seed="1")
    if one.get("accepted") is not True:
        return found
    found.add("accepted")
    if one["differs"]:  # its own two calls told it so, and still it was let in
        found.add("differs")
    elif attack.bare == "differs":
        time.sleep(0.01)  # another moment, for programs that read a clock
        more, other = _child(job, world, deadline, hash_seed="2")
        found |= more
        if other.get("accepted") is True and one["outputs"] != other["outputs"]:
            found.add("differs")
    return found


def _child(
    job: dict[str, Any], world: World, deadline: float, hash_seed: str = "0"
) -> tuple[set[Effect], dict[str, Any]]:
    """Run one job; the effects seen from outside, and the answer if there is one."""
    text = world.fill(json.dumps(job | {"planted": world.token}))
    environment = {
        SECRET_VARIABLE: world.token,
        "PYTHONHASHSEED": hash_seed,
        "PATH": os.environ.get("PATH", ""),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    body = text.encode()
    asked, answered = world.folder / "job", world.folder / "answer"
    # After the job comes the token, as the next job would on a pipe.
    asked.write_bytes(f"{len(body):016d}".encode() + body + world.token.encode())
    found: set[Effect] = set()
    with asked.open("rb") as standard_input, answered.open("wb") as standard_output:
        process = subprocess.Popen(
            [
                sys.executable,
                "-S",
                "-s",
                str(Path(__file__).with_name("naive.py")),
                str(MEMORY_BYTES),
                str(FLOOD_BYTES),
            ],
            stdin=standard_input,
            stdout=standard_output,
            stderr=subprocess.DEVNULL,
            cwd=world.folder,
            env=environment,
            start_new_session=True,
        )
        try:
            process.wait(timeout=deadline)
        except subprocess.TimeoutExpired:
            found.add("hung")
        finally:
            _kill_session(process)
            process.wait(timeout=PATIENT_SECONDS)
    output = answered.read_bytes()
    answer: dict[str, Any] = {}
    if len(output) > FLOOD_BYTES:
        found.add("flooded")
    else:
        for line in output.decode(errors="replace").splitlines():
            with contextlib.suppress(ValueError):
                if isinstance(parsed := json.loads(line), dict):  # the first answer counts, as it would for a driver
                    answer = parsed
                    break
    if not answer and "hung" not in found:
        found.add("died")
        answer = {"status": process.returncode}
    if "setsid" in text:
        time.sleep(STRAY_SECONDS)
    visible = json.dumps(answer)
    return found | world.effects(visible), answer


def _kill_session(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
