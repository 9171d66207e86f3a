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
from tests.report.folders import HOSTILE, make_run

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
    assert '<td class="n up">+25.0</td>' in text


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


def test_metrics_that_were_never_reported_make_no_chart(text: str) -> None:
    assert "<b>perf/mfu</b>" not in text


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
