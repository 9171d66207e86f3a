"""What ships: only whole, small models, in one move."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from azr.errors import AzrError
from azr.tiny import shipped
from azr.tiny.card import card, parameters_of, with_table
from azr.tiny.evaluation import CutOff, Row, questions, responder
from azr.tiny.held_out import DIFFICULTIES, KINDS, held_out_tasks


def model_folder(folder: Path, numbers: int = 6) -> Path:
    folder.mkdir()
    for name in ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_text("{}")
    save_file({"one": np.zeros((2, numbers // 2), np.float16)}, folder / "model.safetensors")
    return folder


def test_a_name_is_resolved_and_any_other_left_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shipped, "_FOLDER", model_folder(tmp_path / "model"))
    assert shipped.resolve("tiny") == str(tmp_path / "model")
    assert shipped.resolve("Qwen/Qwen2.5-7B") == "Qwen/Qwen2.5-7B"


def test_a_folder_is_resolved_for_those_who_work_in_another(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "runs" / "wide").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert shipped.resolve("runs/wide") == shipped.resolve("./runs/wide") == str(tmp_path / "runs" / "wide")
    assert shipped.resolve("runs/narrow") == "runs/narrow"
    assert shipped.resolve("") == "", "no name is none, and not the folder one stands in"


def test_an_installation_without_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shipped, "_FOLDER", tmp_path / "none")
    with pytest.raises(AzrError, match="without the tiny model"):
        shipped.folder()


def test_shipping_replaces_the_old_model_and_its_card(tmp_path: Path) -> None:
    to = tmp_path / "shipped"
    shipped.ship(model_folder(tmp_path / "one"), card="first", to=to)
    (to / "stray").touch()
    shipped.ship(model_folder(tmp_path / "two"), card="second", to=to)
    assert (to / "README.md").read_text() == "second"
    assert not (to / "stray").exists()
    assert not list(tmp_path.glob("*.partial"))


def test_half_a_folder_is_refused_by_what_it_lacks(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "half")
    (folder / "tokenizer.json").unlink()
    with pytest.raises(AzrError, match=r"lacks tokenizer\.json"):
        shipped.ship(folder, card="", to=tmp_path / "shipped")
    assert not (tmp_path / "shipped").exists()


def test_what_is_too_large_for_every_checkout_is_refused(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "large", numbers=shipped.MOST_BYTES)
    with pytest.raises(AzrError, match="bytes; what every installation carries"):
        shipped.ship(folder, card="", to=tmp_path / "shipped")


def test_the_card_counts_parameters_and_holds_the_table(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "model")
    assert parameters_of(folder / "model.safetensors") == 6
    text = card([Row("common", "deduction/solve", "greedy", 200, 0.5, 0.01)], folder=folder, command="azr tiny …")
    assert "of 6 parameters" in text
    assert "| common | deduction/solve | greedy | 200 | 50.0% | 1.0% | 0 |" in text


def test_the_shipped_model_is_small_whole_and_has_its_table() -> None:
    folder = shipped.folder()
    assert sum(path.stat().st_size for path in folder.iterdir()) <= shipped.MOST_BYTES
    assert (folder / "chat_template.jinja").exists() or "chat_template" in (
        folder / "tokenizer_config.json"
    ).read_text()
    text = (folder / "README.md").read_text()
    for kind in KINDS:
        for difficulty in DIFFICULTIES:
            assert f"| {difficulty} | {kind}/solve | sampled |" in text
        assert f"| common | {kind}/propose | sampled |" in text


def test_the_documentation_shows_the_table_of_the_card() -> None:
    page = (Path(__file__).parents[2] / "docs" / "tiny.md").read_text()
    rows = [line for line in (shipped.folder() / "README.md").read_text().splitlines() if line.startswith("| ")]
    assert len(rows) == 1 + 15
    shown = page.partition("<!-- table of azr tiny ship -->")[2].partition("<!-- end of table -->")[0]
    assert [line for line in shown.splitlines() if line.startswith("| ")] == rows


def test_a_page_without_marks_is_refused_and_one_with_them_keeps_the_rest() -> None:
    row = Row("common", "deduction/solve", "greedy", 200, 0.5, 0.01)
    page = "above\n<!-- table of azr tiny ship -->\nold\n<!-- end of table -->\nbelow\n"
    assert with_table(page, [row]).startswith("above\n<!-- table of azr tiny ship -->\n\n| tasks |")
    assert with_table(with_table(page, []), [row]) == with_table(page, [row])
    assert with_table(page, [row]).endswith("<!-- end of table -->\nbelow\n")
    assert "old" not in with_table(page, [row])
    with pytest.raises(ValueError, match="lacks the marks"):
        with_table("nothing", [row])


def test_the_shipped_model_ends_its_answers_in_the_games_own_words() -> None:
    """Greedy answers of a few common tasks: well-formed, and some right."""
    respond = responder(shipped.folder())
    [asked] = [
        question
        for question in questions(tasks=20, samples=0, difficulties=("common",), proposals=False)
        if question.cell == "deduction/solve"
    ]
    answers = respond(asked.prompts, 0.0)
    right = [
        task.outputs[0] == answer
        for task, answer in zip(held_out_tasks("common", "deduction", 20), answers, strict=True)
    ]
    assert sum(right) >= 4


def test_a_response_without_an_end_within_the_limit_is_told_from_one_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    [asked] = [
        question
        for question in questions(tasks=4, samples=0, difficulties=("common",), proposals=False)
        if question.cell == "deduction/solve"
    ]
    respond = responder(shipped.folder())
    assert not any(isinstance(answer, CutOff) for answer in respond(asked.prompts, 0.0))
    monkeypatch.setattr("azr.tiny.evaluation.LONGEST_RESPONSE", 1)
    assert all(isinstance(answer, CutOff) for answer in respond(asked.prompts, 0.0))
