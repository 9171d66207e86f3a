"""Reading text as data: what is accepted, what is refused with which reason, and that nothing breaks the reader."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox_wasm.process.backend import ProcessBackend
from sandbox_wasm.protocol import FUEL_PER_SECOND, LiteralJob, LiteralResult, Outcome


def read(backend: ProcessBackend, *texts: str, arguments: bool = False, limit: int = 1 << 16) -> tuple[Outcome, ...]:
    result = backend.run(
        LiteralJob(texts=texts, form="arguments" if arguments else "value", output_bytes=limit),
    )
    assert isinstance(result, LiteralResult)
    assert len(result.outcomes) == len(texts)
    return result.outcomes


ACCEPTED = {
    "1": "1",
    " 1 ": "1",
    "1_000": "1000",
    "0xff": "255",
    "-1": "-1",
    "- 1": "-1",
    "--1": "1",
    "+1.5": "1.5",
    "1e400": "inf",
    ".5": "0.5",
    "5.": "5.0",
    "-0.0": "-0.0",
    "2j": "2j",
    "-2j": "-2j",
    "1+2j": "(1+2j)",
    "-1.5-2e-5j": "(-1.5-2e-05j)",
    "(1-0j)": "(1-0j)",
    "nan": "nan",
    "-nan": "nan",
    "[inf, -inf]": "[inf, -inf]",
    "float('nan')": "nan",
    'float("-Infinity")': "-inf",
    "None": "None",
    "True": "True",
    "...": "Ellipsis",
    "Ellipsis": "Ellipsis",
    "'a' 'b'": "'ab'",
    "r'\\d'": "'\\\\d'",
    "'\\d'": "'\\\\d'",
    "u'x'": "'x'",
    "b'x' b'y'": "b'xy'",
    "'''a\n'b'''": '"a\\n\'b"',
    "'#'": "'#'",
    "'((((' ": "'(((('",
    "'\\ud800'": "'\\ud800'",
    "'é'": "'é'",
    # Where JSON, which is like Python in much, is not like Python.
    "'\\/'": "'\\\\/'",
    '"\\/"': "'\\\\/'",
    "'\\ud83d\\ude00'": "'\\ud83d\\ude00'",
    "'\\\\n'": "'\\\\n'",
    "'\\x41\\u0041\\101'": "'AAA'",
    "'\t'": "'\\t'",
    "'a\\\nb'": "'ab'",
    "{'a': 1, 'a': 2}": "{'a': 2}",
    "[1, 2][:0]": None,
    "1], [2": None,
    "[-0, -0.0, 1E5]": "[0, -0.0, 100000.0]",
    "[true, false, null]": None,
    "[NaN, -Infinity]": None,
    "'true NaN'": "'true NaN'",
    "5  # five": "5",
    "[1,\n 2,\n]": "[1, 2]",
    "1, 2": "(1, 2)",
    "()": "()",
    "(1,)": "(1,)",
    "(((1)))": "1",
    "{}": "{}",
    "{1: {2}}": "{1: {2}}",
    "{1, True, 1.0}": "{1}",
    "{nan, nan}": "{nan, nan}",
    "set()": "set()",
    "set([1, 2])": "{1, 2}",
    "set({})": None,
    "frozenset({(1, 2)})": "frozenset({(1, 2)})",
    "bytearray(b'x')": "bytearray(b'x')",
    "complex(-0.0, nan)": "complex(-0.0, nan)",
    "range(0, 9, 3)": "range(0, 9, 3)",
    "dict(a=1, b=[2])": "{'a': 1, 'b': [2]}",
}


def test_literals_and_the_few_spellings_of_data_are_read(backend: ProcessBackend) -> None:
    for (text, literal), outcome in zip(ACCEPTED.items(), read(backend, *ACCEPTED), strict=True):
        assert (outcome.value.literal if outcome.value else None) == literal, f"{text!r}: {outcome}"


REFUSED = {
    "": "syntax",
    "   ": "syntax",
    "1 2": "syntax",
    "(": "syntax",
    ")": "syntax",
    "'": "syntax",
    "'a' b'b'": "syntax",
    "01": "syntax",
    "1 if True else 2": "the name if",
    "not True": "the name not",
    "True or False": "the name or",
    "1 < 2": "'<'",
    "1 == 1": "Compare",
    "a": "the name a",
    "os.system('true')": "the name os",
    "__import__('os')": "the name __import__",
    "eval('1')": "the name eval",
    "lambda: 0": "the name lambda",
    "(x := 1)": "the name x",
    "x = 1": "syntax",
    "[*[1], 2]": "'*'",
    "{**{}}": "'*'",
    "2**100": "'*'",
    "1+1": "operators",
    "1-1": "operators",
    "1j+1": "operators",
    "'a'+'b'": "operators",
    "~1": "'~'",
    "-True": "a sign",
    "-'a'": "a sign",
    "-[1]": "a sign",
    "[x for x in [1]]": "the name x",
    "[1][0]": "not a literal",
    "'a'.upper()": "not a literal",
    "(1).real": "operators",
    "''[0]": "Subscript",
    "f'{1}'": "the name f",
    "F''": "the name F",
    "rf''": "the name rf",
    "t''": "the name t",
    "`1`": "'`'",
    "1;2": "';'",
    "1\\\n": "'\\\\'",
    "list()": "the name list",
    "set": "the name set",
    "set('ab')": "a call of set",
    "set([1], [2])": "a call of set",
    "set(x=1)": "a call of set",
    "float(1)": "a call of float",
    "float('1')": "a call of float",
    "float('nan', 1)": "a call of float",
    "bytearray(9)": "a call of bytearray",
    "bytearray('a', 'utf8')": "a call of bytearray",
    "complex('1')": "a call of complex",
    "range(True)": "a call of range",
    "range(1, 2, 0)": "zero",
    "range()": "a call of range",
    "dict({})": "a call of dict",
    "None()": "a call",
    "nan()": "a call of nan",
    "{[]}": "unhashable",
    "{{}: 1}": "unhashable",
    "1" * 4301: "4300 digits",
    "\0": "null byte",
    "'\0'": "null byte",
    "'\ud800'": "surrogate",
    "１": None,
    "ｎａｎ": "the name",
    "yield": "the name yield",
    "await 1": "the name await",
    "1 #\n2": "syntax",
}


def test_all_else_is_refused_with_a_reason(backend: ProcessBackend) -> None:
    for (text, reason), outcome in zip(REFUSED.items(), read(backend, *REFUSED), strict=True):
        assert outcome.status == "refused", f"{text!r}: {outcome}"
        assert reason is None or reason in outcome.error, f"{text!r}: {outcome.error}"


DEEP = {
    "nested brackets": "[" * 5_000 + "]" * 5_000,
    "open brackets": "(" * 60_000,
    "mixed brackets": "([{1:" * 9_000,
    "just too deep": "[" * 101 + "]" * 101,
    "signs": "-" * 60_000 + "1",
    "spaced signs": "- " * 30_000 + "1",
    "a sum": "1" + "+1" * 30_000,
    "a sum of brackets": "(1)" + "+(1)" * 10_000,
    "a sum of strings": "''" + "-''" * 10_000,
    "a sum over lines": "(1" + "\n+1" * 10_000 + ")",
    "a sum with exponents": "1" + "-1e-5" * 5_000,
    "a sum with comments": "((1)" + "#\n+(1)" * 600 + ")",
    "a sum with comments behind its signs": "((1)" + "+#\n(1)" * 600 + ")",
    "a sum behind a comment that a carriage return ends": "(#\r1" + "+1" * 600 + "\n)",
    "signs with comments": "(" + "-#\n" * 600 + "1)",
    "calls with comments": "(set" + "()#\n" * 600 + ")",
    "subscripts with comments": "([1]" + "#\n[1]" * 600 + ")",
    "attributes with comments": "(nan" + "#\n.#\na" * 600 + ")",
    "calls": "set" + "()" * 30_000,
    "subscripts": "set" + "[1]" * 20_000,
    "attributes": "nan" + ".a" * 30_000,
    "attributes of a float": "1." + ".e" * 30_000,
    "comparisons": "nan" + "==nan" * 10_000,
    "ternaries": "1 if 1 else " * 5_000 + "1",
    "nots": "not " * 15_000 + "1",
    "lambdas": "lambda:" * 9_000 + "1",
    "walruses": "(a:=" * 15_000 + "1",
    "awaits": "await " * 10_000 + "1",
    "nested f-strings": "f'{" * 1_000 + "1" + "}'" * 1_000,
}


@pytest.mark.parametrize("name", DEEP)
def test_bombs_of_depth_are_refused_before_the_parser_meets_them(backend: ProcessBackend, name: str) -> None:
    (value,) = read(backend, DEEP[name])
    (arguments,) = read(backend, DEEP[name], arguments=True)
    assert value.status == arguments.status == "refused"


@pytest.mark.parametrize("line", ["\\'''\n", "\\'", '\\"""\n', '\\"', "''' \\", "'\\\n"])
def test_strings_that_are_never_closed_are_refused_in_no_time(backend: ProcessBackend, line: str) -> None:
    """A reader that went on at the next quote, and at the next, would be cut off by the clock."""
    text = line * (60_000 // len(line))
    (outcome,) = backend.run(LiteralJob(texts=(text,))).outcomes  # type: ignore[union-attr]
    assert outcome.status == "refused"
    assert outcome.fuel < FUEL_PER_SECOND


def test_lines_may_end_as_they_do_elsewhere(backend: ProcessBackend) -> None:
    texts = ["[1, # one\r\n 2]", "[1, # one\r 2]", "'''a\r\nb'''", "[1,\r2]", "'a\\\r\nb'", "1 # one\r\n"]
    assert [outcome.status for outcome in read(backend, *texts)] == ["ok"] * len(texts)


def test_what_is_wide_but_not_deep_is_read(backend: ProcessBackend) -> None:
    texts = [
        "[" + "-1e-5-1e-5j, " * 2_000 + "]",
        "'a' " * 10_000,
        "[" + "[[]], " * 5_000 + "]",
        "{" + "(), " * 9_000 + "}",
    ]
    deepest = "[" * 100 + "]" * 100
    assert {outcome.status for outcome in read(backend, *texts, deepest)} == {"ok"}


def test_a_text_or_value_beyond_the_limit_is_opaque_not_cut(backend: ProcessBackend) -> None:
    long_text, exact, longer_when_written = read(
        backend, "'" + "a" * 99 + "'", "'" + "a" * 98 + "'", "'" + "\t" * 90 + "'", limit=100
    )
    assert long_text.status == "opaque"
    assert "too large" in long_text.error
    assert exact.status == "ok"
    assert longer_when_written.status == "opaque"


ARGUMENTS = {
    "": "",
    "1": "1",
    "'ab', 3": "'ab', 3",
    "1,": "1",
    "1, # two\n 2": "1, 2",
    "1 # )": "1",
    "x=1": "x=1",
    "1, y = [2], x={'a': 1}": "1, y=[2], x={'a': 1}",
    "(1, 2)": "(1, 2)",
    "dict(a=1), a=1": "{'a': 1}, a=1",
}


def test_arguments_are_read_as_inside_the_parentheses_of_a_call(backend: ProcessBackend) -> None:
    for (text, literal), outcome in zip(ARGUMENTS.items(), read(backend, *ARGUMENTS, arguments=True), strict=True):
        assert outcome.value is not None, f"{text!r}: {outcome}"
        assert outcome.value.literal == literal
        assert outcome.value.type_name == "arguments"


NOT_ARGUMENTS = (
    "1) or (True",
    "1) or True #",
    "1) == 1 or f(1",
    "1)(2",
    "1), (2",
    "1) + _(2",
    "1).x(2",
    "1)[0](2",
    "1)\n(2",
    "1); print(2",
    "1) if True else (2",
    ")(",
    ") or (",
    "*[1]",
    "**{'a': 1}",
    "x=1, x=2",
    "x=1, 2",
    "x:=1",
    "(x:=1)",
    "x for x in [1]",
    "None=1",
    "1=2",
    "x==1",
    "lambda x=1: x",
    "x=f(1)",
    "f(x=1)",
    "_",
    "_(1)",
    "x=y",
    "\0",
    "'\ud800'",
)


def test_a_text_that_closes_the_call_or_is_more_than_data_is_refused(backend: ProcessBackend) -> None:
    for text, outcome in zip(NOT_ARGUMENTS, read(backend, *NOT_ARGUMENTS, arguments=True), strict=True):
        assert outcome.status == "refused", f"{text!r}: {outcome}"


PIECES = st.sampled_from(
    [
        *"()[]{},:.=+-*'\"\\#\n \0\ud800é1",
        "nan",
        "set(",
        "1e5",
        "2j",
        "b'",
        "'''",
        "None",
        "x=",
        "float('",
        "lambda ",
        "f'{",
    ]
)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.one_of(st.text(max_size=40), st.lists(PIECES, max_size=20).map("".join)), min_size=20, max_size=60))
def test_no_text_makes_the_reader_do_anything_but_answer(backend: ProcessBackend, texts: list[str]) -> None:
    for arguments in (False, True):
        outcomes = read(backend, *texts, arguments=arguments)
        assert {outcome.status for outcome in outcomes} <= {"ok", "refused"}
        again = [outcome.value.literal for outcome in outcomes if outcome.value]
        for literal, second in zip(again, read(backend, *again, arguments=arguments), strict=True):
            assert second.value is not None
            assert second.value.literal == literal


JSON_LIKE = st.recursive(
    st.sampled_from(
        [
            "1",
            "-0",
            "01",
            "1.5",
            "1E5",
            "1.",
            "-",
            "true",
            "None",
            "NaN",
            "'a'",
            '"a"',
            "''",
            "'\\\\/'",
            "'\\t'",
            "'\\ud83d\\ude00'",
            "'\\0'",
        ]
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda parts: "[" + ", ".join(parts) + "]"),
        st.lists(st.tuples(inner, inner), max_size=2).map(
            lambda pairs: "{" + ",".join(f"{name}: {item}" for name, item in pairs) + "}"
        ),
        st.tuples(inner, st.sampled_from([" ", "\n", ",", "\t", "", "] [", "],["]), inner).map("".join),
    ),
    max_leaves=8,
)


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(JSON_LIKE, min_size=40, max_size=80))
def test_the_short_way_for_plain_texts_reads_what_the_long_way_reads(backend: ProcessBackend, texts: list[str]) -> None:
    """A comment behind the text, which the short way does not know, sends it the long way."""
    for arguments in (False, True):
        short = read(backend, *texts, arguments=arguments)
        long = read(backend, *[text + " #" for text in texts], arguments=arguments)
        for text, one, other in zip(texts, short, long, strict=True):
            assert (one.status, one.value) == (other.status, other.value), text
