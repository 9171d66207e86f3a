"""The page shows a run, fetches nothing, runs nothing, and lets no text of the model act."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from azr.cli.main import main
from azr.metrics import METRICS
from azr.report.history import read_history
from azr.report.page import GLANCE, page
from tests.report.folders import HOSTILE, evaluation, make_run, write_lines

#: Tags that the page itself is made of.
OURS = {
    *("html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "div", "span", "i", "b", "em", "code"),
    *("figure", "figcaption", "svg", "path", "text", "circle", "table", "tr", "th", "td", "details", "summary"),
    *("pre", "mark"),
}


class Tags(HTMLParser):
    """Every tag and attribute that a browser would see."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    return page(read_history(make_run(tmp_path_factory.mktemp("runs") / "warm")))


@pytest.mark.attack
def test_text_of_the_model_makes_no_tag_and_reaches_no_terminal(text: str) -> None:
    parser = Tags()
    parser.feed(text)
    assert {tag for tag, _ in parser.seen} <= OURS
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert HOSTILE not in text
    assert "&lt;script&gt;" in text


def test_nothing_is_fetched_or_run(text: str) -> None:
    parser = Tags()
    parser.feed(text)
    for _, attributes in parser.seen:
        assert not {"src", "href", "srcset", "action", "data", "poster"} & attributes.keys()
        assert not any(name.startswith("on") for name in attributes)
    assert "default-src 'none'" in text
    assert "url(" not in text
    assert "@import" not in text


def test_results_before_and_after_stand_first_with_the_difference(text: str) -> None:
    assert text.index("Held-out tasks") < text.index("At a glance")
    assert "25.0%" in text
    assert "50.0%" in text
    assert '<td class="n up">+25.0</td><td class="n">5 → 10</td>' in text


def test_results_of_other_questions_are_not_compared(tmp_path: Path) -> None:
    run = make_run(tmp_path / "warm")
    write_lines(run / "evaluations.jsonl", evaluation(0, 0.25, "eight tasks"), evaluation(30, 0.5, "fifty tasks"))
    text = page(read_history(run))
    assert "50.0%" in text
    assert "25.0%" not in text
    assert "+25.0" not in text


def test_an_evaluation_that_could_not_be_made_is_told_at_the_head_with_its_reason(text: str) -> None:
    assert "not evaluated after training: request eval-30-1: &lt;/pre&gt;" in text


def test_a_metric_is_one_chart_with_a_line_for_each_cell(text: str) -> None:
    figure = next(part for part in text.split("<figure>") if "<b>reward/mean</b>" in part)
    assert "deduction/solve" in figure
    assert "abduction/propose" in figure
    assert METRICS["reward/mean"].description in figure


def test_a_histogram_shows_its_mean_and_its_95th_percentile(text: str) -> None:
    figure = next(part for part in text.split("<figure>") if "<b>off_policy/staleness</b>" in part)
    assert "deduction/solve mean" in figure
    assert "deduction/solve p95" in figure
    assert "deduction/solve max" not in figure


def charts_of(tmp_path: Path, *names: str) -> dict[str, list[str]]:
    """The charts of a run that reported these numbers: title to the lines of the key."""
    write_lines(tmp_path / "metrics.jsonl", *({"step": step, **dict.fromkeys(names, 0.5)} for step in (1, 2)))
    shown = page(read_history(tmp_path)).partition("All metrics")[2]
    return {
        re.findall(r"<b>([^<]*)</b>", part)[0]: re.findall(r"</i>([^<]*) <b>", part)
        for part in shown.split("<figure>")[1:]
    }


CELLS = [f"{kind}/{role}" for kind in ("abduction", "deduction", "induction") for role in ("propose", "solve")]


def test_ten_lines_are_one_chart(tmp_path: Path) -> None:
    reasons = [f"reason_{number:02}" for number in range(10)]
    assert charts_of(tmp_path, *(f"proposal/refused/{reason}" for reason in reasons)) == {"proposal/refused": reasons}


def test_more_lines_than_one_can_tell_apart_are_several_charts_and_none_is_left_out(tmp_path: Path) -> None:
    reasons = [f"reason_{number:02}" for number in range(23)]
    assert charts_of(tmp_path, *(f"proposal/refused/{reason}" for reason in reasons)) == {
        "proposal/refused 1 to 10 of 23": reasons[:10],
        "proposal/refused 11 to 20 of 23": reasons[10:20],
        "proposal/refused 21 to 23 of 23": reasons[20:],
    }


def test_a_histogram_of_many_cells_has_a_chart_for_each_of_its_numbers(tmp_path: Path) -> None:
    """Six cells, two numbers each."""
    name = "off_policy/staleness"
    assert charts_of(tmp_path, *(f"{name}/{cell}.{number}" for cell in CELLS for number in ("mean", "p95", "max"))) == {
        f"{name} mean": [f"{cell} mean" for cell in CELLS],
        f"{name} p95": [f"{cell} p95" for cell in CELLS],
    }


def test_held_out_results_have_a_chart_for_each_difficulty(tmp_path: Path) -> None:
    """Of each: six cells sampled, and three solved greedily."""
    rows = [f"{cell}/sampled" for cell in CELLS] + [f"{cell}/greedy" for cell in CELLS if cell.endswith("solve")]
    found = charts_of(tmp_path, *(f"eval/accuracy/{each}/{row}" for each in ("common", "harder") for row in rows))
    assert found == {f"eval/accuracy {each}": sorted(f"{each}/{row}" for row in rows) for each in ("common", "harder")}


def test_metrics_that_were_never_reported_make_no_chart(text: str) -> None:
    assert "<b>perf/memory</b>" not in text


def test_every_chart_at_a_glance_is_of_a_metric_that_exists() -> None:
    assert set(GLANCE) <= set(METRICS)


def test_flagged_responses_tasks_and_settings_are_shown(text: str) -> None:
    assert "step 4 · deduction/solve · outwits · left out" in text
    assert "40 of 100 accepted tasks that were trained on, drawn evenly over the run" in text
    assert text.count("<summary>deduction · <code>def f(x):</code></summary>") == 40
    assert "config.yaml" in text
    assert "resumed 1 times" in text
    assert re.search(r"2023-11-14 \d\d:13 UTC", text)


def test_the_command_writes_it_into_the_folder_and_says_where(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_run(tmp_path / "warm")
    assert main(["report", str(folder)]) == 0
    assert capsys.readouterr().out.strip() == str(folder / "report.html")
    assert (folder / "report.html").read_text().startswith("<!doctype html>")
    assert main(["report", str(folder), "--out", str(tmp_path / "page.html")]) == 0
    assert (tmp_path / "page.html").exists()


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(tmp_path)]) == 1
    assert "name a run's folder" in capsys.readouterr().err
