"""What attacks are measured against: model text run by bare `exec` and `eval`, the way published systems do it.

A script of its own, run by `bare.py` in a disposable child process and never imported: this is the one place outside
the guest where hostile text is executed, and all of that text stands in this folder. Takes one JSON job on standard
input (sixteen digits of length first; what follows belongs to nobody, and an attack may steal it), answers one line.

    run        exec the program, eval f(input), answer the value's repr
    sequence   the same for several programs in one process, as a warm worker does
    gate       run twice and compare; let in what does not end in something called an error
    verify     paste answers into an expression and eval it; or exec the answer program beside the expected values
    parse      ast.parse, compile or ast.literal_eval, catching SyntaxError as callers do; or exec of what a reader that
               splits lines or encodes first makes of the text
"""

import ast
import json
import os
import resource
import signal
import sys
from typing import Any


def call(program: str | bytes, arguments: str) -> Any:
    namespace: dict[str, Any] = {}
    exec(program, namespace)
    return eval(f"f({arguments})", namespace)


def run(job: Any) -> dict[str, Any]:
    secret = job["planted"]  # a local of the caller's frame, for attacks that walk frames or memory
    if job["alarm"]:

        def too_late(*_: Any) -> None:
            raise TimeoutError("time is up")

        signal.signal(signal.SIGALRM, too_late)
        signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        value = call(job["program"], job["input"])
    except MemoryError:
        return {"memory": True}
    except BaseException as error:
        return {"error": f"{type(error).__name__}: {error}"}
    return {"value": repr(value), "planted": len(secret)}


def sequence(job: Any) -> dict[str, Any]:
    values = []
    namespace: dict[str, Any] = {}
    for program, arguments in job["steps"]:
        try:
            if program is not None:  # None: the same program again, on its next input
                namespace = {}
                exec(program, namespace)
            values.append(repr(eval(f"f({arguments})", namespace)))
        except BaseException as error:
            values.append(f"{type(error).__name__}: {error}")
    return {"values": values}


BANNED = {"logging", "random", "multiprocessing", "subprocess", "threading", "datetime", "time", "hashlib", "os.path"}


def gate(job: Any) -> dict[str, Any]:
    """Syntax, banned imports by the name after `import`, run twice, and a look at the last line for "error"."""
    tree = ast.parse(job["program"])
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            if any(name.split(".")[0] in BANNED for name in names):
                return {"accepted": False}
    outputs = []
    differs = False
    for arguments in job["inputs"]:
        try:
            namespace: dict[str, Any] = {}
            exec(job["program"], namespace)
            value = eval(f"f({arguments})", namespace)
            if value != eval(f"f({arguments})", namespace):
                differs = True
                raise Exception("values of two calls are not the same")
            outputs.append(repr(value))
        except BaseException as failure:
            last_line = f"{type(failure).__name__}: {failure}"
            if "error" in last_line.lower():
                return {"accepted": False}
            outputs.append("")
    return {"accepted": True, "outputs": outputs, "differs": differs}


def verify(job: Any) -> dict[str, Any]:
    gold = job["outputs"][-1] if job["outputs"] else ""
    if job["task"] == "deduction":
        try:
            correct = bool(eval(gold) == eval(job["answer"]))
        except Exception:
            correct = False
        if not correct:
            try:
                correct = eval(eval(gold)) == eval(eval(job["answer"]))  # the values once more, as text
            except Exception:
                correct = False
        return {"accepted": bool(correct)}
    if job["task"] == "abduction":
        namespace: dict[str, Any] = {}
        exec(job["program"], namespace)
        return {"accepted": bool(eval(f"{gold} == f({job['answer']})", namespace))}
    hidden = list(zip(job["inputs"], job["outputs"], strict=True))[job["shown"] :]
    namespace = {}
    exec(job["answer"], namespace)
    return {"accepted": all(eval(f"{output} == f({arguments})", namespace) for arguments, output in hidden)}


def parse(job: Any) -> dict[str, Any]:
    text = job["text"]
    if job["reader"] in ("bytes", "lines"):  # readers that make another text of it first, and then run that
        other = text.encode() if job["reader"] == "bytes" else "\n".join(text.splitlines())
        return {"value": repr(call(other, job["input"]))}
    readers: dict[str, Any] = {"parse": ast.parse, "literal": ast.literal_eval}
    readers["compile"] = lambda text: compile(text, "<text>", "exec")
    try:
        readers[job["reader"]](text)
    except SyntaxError:
        return {"parsed": False}
    return {"parsed": True}


def limit(memory: int, file_size: int) -> None:
    """What the child may use: attacks shall succeed, and the machine shall not notice."""
    for which, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, 2 * file_size),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, 10),
    ):
        resource.setrlimit(which, (most, most))


if __name__ == "__main__":
    limit(*map(int, sys.argv[1:3]))
    length = int(os.read(0, 16))
    chunks = []
    while length:
        chunks.append(os.read(0, min(length, 1 << 16)))
        length -= len(chunks[-1])
    job = json.loads(b"".join(chunks))
    PLANTED = job["planted"]
    answer = {"run": run, "sequence": sequence, "gate": gate, "verify": verify, "parse": parse}[job["mode"]](job)
    print(json.dumps(answer), flush=True)
    sys.stdout.flush()
