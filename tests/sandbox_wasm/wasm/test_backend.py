"""The back end against its contract: three kinds of job, hostile answers, and what it shares between inputs."""

from __future__ import annotations

import multiprocessing

import pytest
from wasmtime import TrapCode
from wasmtime import _ffi as ffi

from sandbox_wasm.protocol import (
    InspectJob,
    InspectResult,
    Limits,
    LiteralJob,
    LiteralResult,
    Outcome,
    RunJob,
    RunResult,
)
from sandbox_wasm.wasm import backend as module
from sandbox_wasm.wasm.backend import WasmBackend
from sandbox_wasm.wasm.instance import GuestStoppedError, Instance, TooLongError

from .conftest import LIMITS, Run, literal


def test_a_run_job_answers_each_input_in_order(backend: WasmBackend) -> None:
    inputs = ("1, 2", "'a', 'b'", "[1], b=[2]", "1", "nope()")
    result = backend.run(RunJob(program="def f(a, b): return a + b", inputs=inputs, limits=LIMITS))
    assert isinstance(result, RunResult)
    statuses = [outcome.status for outcome in result.outcomes]
    assert statuses == ["ok", "ok", "ok", "error", "refused"]
    assert [outcome.value.literal for outcome in result.outcomes if outcome.value] == ["3", "'ab'", "[1, 2]"]
    assert all(outcome.fuel > 0 for outcome in result.outcomes)


def test_inputs_that_share_a_compilation_answer_as_if_alone(backend: WasmBackend) -> None:
    program = (
        "import math\nK = {1: 'one'}\ndef f(x):\n    '''Doc.'''\n    return K.get(x, math.sqrt(x)), f.__doc__, __name__"
    )
    inputs = tuple(str(number) for number in range(module.SHARED_FROM + 2))
    together = backend.run(RunJob(program=program, inputs=inputs, limits=LIMITS))
    alone = [backend.run(RunJob(program=program, inputs=(text,), limits=LIMITS)) for text in inputs]
    assert [outcome.value for outcome in together.outcomes] == [  # type: ignore[union-attr]
        one.outcomes[0].value  # type: ignore[union-attr]
        for one in alone
    ]


def test_inputs_that_are_no_utf8_do_not_keep_others_from_sharing(backend: WasmBackend) -> None:
    inputs = ("'a'", "'\ud800'", "'é'", "'b'", "'c'")
    result = backend.run(RunJob(program="def f(s): return len(s)", inputs=inputs, limits=LIMITS))
    statuses = [outcome.status for outcome in result.outcomes]  # type: ignore[union-attr]
    assert statuses == ["ok", "refused", "ok", "ok", "ok"]


def test_a_program_that_does_not_compile_says_so_for_every_input(backend: WasmBackend) -> None:
    job = RunJob(program="def f(x) return x", inputs=("1",) * (module.SHARED_FROM + 1))
    errors = {outcome.error for outcome in backend.run(job).outcomes}  # type: ignore[union-attr]
    assert len(errors) == 1
    assert errors.pop().startswith("SyntaxError")


def test_literals_are_read_in_both_forms(backend: WasmBackend) -> None:
    result = backend.run(LiteralJob(texts=("1", "{2, 1}", "x", "'" + "a" * 100 + "'"), output_bytes=50))
    assert isinstance(result, LiteralResult)
    assert [outcome.status for outcome in result.outcomes] == ["ok", "ok", "refused", "opaque"]
    result = backend.run(LiteralJob(texts=("1, 'a'", "k=2"), form="arguments"))
    assert isinstance(result, LiteralResult)
    assert [outcome.value.literal for outcome in result.outcomes if outcome.value] == ["1, 'a'", "k=2"]


def test_a_program_is_inspected_without_being_run(backend: WasmBackend) -> None:
    result = backend.run(InspectJob(program="import os\nos._exit(1)\ndef f(a, b): return a"))
    assert isinstance(result, InspectResult)
    assert result.facts is not None
    assert (result.facts.parameters, result.facts.modules) == (2, ("os",))
    result = backend.run(InspectJob(program="def f(:"))
    assert isinstance(result, InspectResult)
    assert (result.facts, result.reason) == (None, "syntax")


@pytest.mark.parametrize(
    "program", ["(" * 5000 + ")" * 5000, "-" * 100_000 + "1", "a." * 50_000 + "b", "\x00", "\ud800"]
)
def test_text_that_breaks_parsers_is_answered(backend: WasmBackend, program: str) -> None:
    result = backend.run(InspectJob(program=program))
    assert isinstance(result, InspectResult)
    assert result.facts is None
    assert result.reason
    outcome = backend.run(RunJob(program=program, inputs=("1",), limits=LIMITS)).outcomes[0]  # type: ignore[union-attr]
    assert outcome.status in ("error", "memory")


#: Answers an honest guest would not give, as expressions a program puts in the place of its guest's own.
LIES = {
    "no JSON": "b'not json'",
    "another result": """b'{"type":"inspect","facts":null}'""",
    "no bytes": "7",
    "no outcomes": """b'{"type":"run","outcomes":[]}'""",
    "two outcomes": """b'{"type":"run","outcomes":[{"status":"opaque"},{"status":"opaque"}]}'""",
    "a status of the host's": """b'{"type":"run","outcomes":[{"status":"retry"}]}'""",
    "no status at all": """b'{"type":"run","outcomes":[{"status":"fine"}]}'""",
    "a field too many": """b'{"type":"run","outcomes":[],"more":1}'""",
    "no text": """b'{"type":"run","outcomes":[\\xff]}'""",
    "far too much": "bytes(80_000_000)",
    "an endless answer": "b'[' * 1_000_000",
    "an error": "1 / 0",
}


def lying(answer: str) -> str:
    """A program whose guest gives this answer. The function is looked up before the program runs; its code is not."""
    return (
        "import sys\nwire = sys.modules['guest.wire']\ndef f(x):\n"
        f"    wire.write_outcomes.__code__ = (lambda tag, outcomes: {answer}).__code__\n    return 1"
    )


@pytest.mark.parametrize("lie", LIES)
def test_a_guest_that_lies_about_a_run_has_left_it(run: Run, lie: str) -> None:
    """The program spoke, or broke what speaks: were it our failure, a wrong answer would go unpunished."""
    outcome = run(lying(LIES[lie]))
    assert (outcome.status, outcome.value, outcome.error[:13]) == ("error", None, "ProcessExit: ")
    assert literal(run("def f(x): return x")) == "1"


#: Ordinary Python whose interpreter stops without a word.
ENDINGS = {
    "an empty queue": "import queue\ndef f(x): return queue.Queue().get()",
    "a lock taken twice": "import threading\ndef f(x):\n    lock = threading.Lock()\n    while lock.acquire(): pass",
    "an event that never comes": "import threading\ndef f(x): threading.Event().wait()",
    "abort": "import os\ndef f(x): os.abort()",
    "a signal to itself": "import signal\ndef f(x): signal.raise_signal(signal.SIGABRT)",
}


@pytest.mark.parametrize("name", ENDINGS)
def test_a_trap_that_a_brand_new_instance_repeats_is_the_programs_doing(run: Run, name: str) -> None:
    for _ in range(2):
        outcome = run(ENDINGS[name])
        assert (outcome.status, outcome.error[:13]) == ("error", "ProcessExit: ")
    assert literal(run("def f(x): return x")) == "1"


@pytest.mark.parametrize(
    ("second", "status"),
    [
        (GuestStoppedError(TrapCode.UNREACHABLE, "words"), "error"),
        (GuestStoppedError(TrapCode.MEMORY_OUT_OF_BOUNDS, "words"), "crashed"),
        (GuestStoppedError(TrapCode.UNREACHABLE, "words", cause=1), "crashed"),
        (GuestStoppedError(TrapCode.OUT_OF_FUEL, "words"), "crashed"),
        (GuestStoppedError(None, "words"), "crashed"),
        (GuestStoppedError(TrapCode.INTERRUPT, "words"), "retry"),
        (None, "crashed"),
    ],
)
def test_what_a_second_instance_does_otherwise_stays_our_failure(
    monkeypatch: pytest.MonkeyPatch, second: GuestStoppedError | None, status: str
) -> None:
    asked = []

    def ask(*_given: object, brand_new: bool = False) -> tuple[bytes, int]:
        asked.append(brand_new)
        stop = second if brand_new else GuestStoppedError(TrapCode.UNREACHABLE, "words")
        if stop is not None:
            raise stop
        return b"", 7

    backend = WasmBackend()
    monkeypatch.setattr(backend, "_ask", ask)
    result = backend.run(RunJob(program="def f(x): return x", inputs=("1",)))
    assert result.outcomes[0].status == status  # type: ignore[union-attr]
    assert asked == [False, True]
    asked.clear()
    read = backend.run(LiteralJob(texts=("1",)))
    assert read.outcomes[0].status == {"error": "refused"}.get(status, status)  # type: ignore[union-attr]
    assert asked == [False, True]
    inspected = backend.run(InspectJob(program="def f(x): return x"))
    assert inspected.reason == {"error": "too_deep"}.get(status, status)  # type: ignore[union-attr]


#: Each breaks a reader that is written in Python, one way or another.
UNREADABLE = ("(1)" + "#\n+(1)" * 600, "#\r1" + "+1" * 600)


def test_a_text_that_breaks_its_reader_is_refused_and_its_neighbours_are_read(backend: WasmBackend) -> None:
    """Were it our failure, an answer could make itself undecided and take its whole group along."""
    result = backend.run(LiteralJob(texts=("1", *UNREADABLE, "2"), form="arguments"))
    assert isinstance(result, LiteralResult)
    assert [outcome.status for outcome in result.outcomes] == ["ok", "refused", "refused", "ok"]


def test_a_program_whose_facts_are_beyond_all_measure_is_too_large(backend: WasmBackend) -> None:
    program = "import " + "a" * 4_000 + " as b\ndef f(x):\n" + "".join(f" b.c{number}\n" for number in range(700))
    result = backend.run(InspectJob(program=program))
    assert isinstance(result, InspectResult)
    assert (result.facts, result.reason) == (None, "too_large")


def test_reading_that_is_answered_at_too_great_length_is_opaque_for_that_text_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    backend = WasmBackend()

    def ask(request: bytes, *_given: object) -> tuple[bytes, int]:
        if b"long" in request:
            raise TooLongError("words")
        return b'{"type":"literal","outcomes":[{"status":"refused"}]}', 7

    monkeypatch.setattr(backend, "_ask", ask)
    read = backend.run(LiteralJob(texts=("long", "short")))
    assert [outcome.status for outcome in read.outcomes] == ["opaque", "refused"]  # type: ignore[union-attr]


def test_a_call_is_read_in_its_one_spelling_where_the_signature_is_known(backend: WasmBackend) -> None:
    inspected = backend.run(InspectJob(program="def f(a, b=2): return a"))
    assert isinstance(inspected, InspectResult)
    assert inspected.facts is not None
    texts = ("1", "a=1", "1, 2", "b=2, a=1", "1, 2, 3")
    result = backend.run(LiteralJob(texts=texts, form="arguments", signature=inspected.facts.signature))
    assert isinstance(result, LiteralResult)
    assert [outcome.value.literal for outcome in result.outcomes if outcome.value] == ["1, 2"] * 4 + ["1, 2, 3"]


def test_fuel_is_the_hosts_word_and_not_the_guests(run: Run) -> None:
    outcome = run(lying("""b'{"type":"run","outcomes":[{"status":"opaque","error":"","fuel":5}]}'"""))
    assert outcome.status == "opaque"
    assert outcome.fuel > 1000


def test_texts_with_surrogates_reach_the_guest(run: Run) -> None:
    assert literal(run("def f(s): return len(s)", "'\\ud800'")) == "1"
    assert run("def f(s): return len(s)", "'\ud800'").status == "refused"


def test_options_are_checked() -> None:
    with pytest.raises(ValueError, match="fresh, restored"):
        WasmBackend(instances="warm")  # type: ignore[arg-type]
    assert WasmBackend().name == "wasm"


@pytest.mark.parametrize("given", [0, -3, True, "", "0", "2.5", "often"])
def test_a_canary_that_never_comes_is_refused_by_name(given: int | str) -> None:
    with pytest.raises(ValueError, match="canary_every must be a whole number of at least 1, not ") as refused:
        WasmBackend(canary_every=given)
    assert repr(given) in str(refused.value)


def test_a_number_may_come_as_text_as_configurations_give_it() -> None:
    assert WasmBackend(canary_every="25")._canary_every == 25


def test_making_one_loads_nothing() -> None:
    backend = WasmBackend()
    assert backend._engine is None
    backend.close()


def _answer_in_child(connection: object) -> None:
    result = WasmBackend(instances="restored").run(RunJob(program="def f(x): return x * 2", inputs=("21",)))
    connection.send(result.outcomes[0].value.literal)  # type: ignore[attr-defined,union-attr]


def test_a_spawned_process_makes_its_own() -> None:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    child = context.Process(target=_answer_in_child, args=(there,))
    child.start()
    assert here.poll(120), "the child did not answer within 120 s"
    assert here.recv() == "42"
    child.join(timeout=30)
    assert child.exitcode == 0


def test_an_instance_that_cannot_come_alive_frees_its_store(
    fresh: WasmBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, freed = [], []
    make, free = ffi.wasmtime_store_new, ffi.wasmtime_store_delete
    monkeypatch.setattr(ffi, "wasmtime_store_new", lambda *given: made.append(store := make(*given)) or store)
    monkeypatch.setattr(ffi, "wasmtime_store_delete", lambda store: freed.append(store) or free(store))

    def nothing(_: Instance, name: bytes) -> None:
        raise GuestStoppedError(None, f"the guest does not export {name.decode()}")

    monkeypatch.setattr(Instance, "_export", nothing)
    engine = fresh.engine
    with pytest.raises(GuestStoppedError, match="does not export memory"):
        Instance(engine.native, engine.snapshot(0))
    assert len(made) == 1
    assert freed == made


def test_traps_are_told_apart() -> None:
    limits = Limits()
    cases = {
        (TrapCode.OUT_OF_FUEL, 0, 0): "timeout",
        (TrapCode.INTERRUPT, 0, 0): "retry",
        (TrapCode.STACK_OVERFLOW, 0, 0): "error",
        (TrapCode.UNREACHABLE, 1, 0): "error",
        (TrapCode.UNREACHABLE, 0, 0): "crashed",
        (TrapCode.UNREACHABLE, 0, limits.memory_bytes - 1): "memory",
        (TrapCode.MEMORY_OUT_OF_BOUNDS, 0, 0): "crashed",
        (None, 0, 0): "crashed",
    }
    for (code, cause, memory), status in cases.items():
        outcome: Outcome = module.outcome_of(GuestStoppedError(code, "words", cause, 9, memory), limits)
        assert outcome.status == status
        assert outcome.error
