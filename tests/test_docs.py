"""The pages under docs/ name what exists: files, configuration keys, commands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import azr
from azr.cli.main import COMMANDS
from azr.config import Config, preset_names
from azr.config.load import known_keys
from azr.metrics.catalogue import METRICS, OWNERS

ROOT = Path(azr.__file__).parents[1]

#: Pages that people write; the generated ones are compared whole elsewhere.
PAGES = sorted(
    path
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "conf" / "README.md")
    if path.name not in ("configuration.md", "metrics.md")
)

KEYS = frozenset(known_keys())
SECTIONS = frozenset(vars(Config()))

#: Inside `code`: words with dots that begin with a section, up to what a key cannot hold.
_KEY = re.compile(r"(?<![\w/.-])((?:%s)(?:\.[a-z_]+)+)(?![\w/(-])" % "|".join(sorted(SECTIONS)))  # noqa: UP031


def identity(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=identity)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{target} does not exist"


@pytest.mark.parametrize("page", PAGES, ids=identity)
def test_keys_exist(page: Path) -> None:
    """Keys that end in a name of the user's choosing (`….terms.brevity`) are known up to that name."""
    code = " ".join(re.findall(r"`([^`\n]+)`", page.read_text()))
    for key in _KEY.findall(code):
        if key.endswith((".py", ".md", ".lock", ".json")):
            continue  # a file that is called like a section
        parts = key.split(".")
        known = any(".".join(parts[:length]) in KEYS for length in range(len(parts), 1, -1))
        assert known, f"{key} is no key of the configuration"


@pytest.mark.parametrize("page", PAGES, ids=identity)
def test_metrics_exist(page: Path) -> None:
    code = " ".join(re.findall(r"`([^`\n]+)`", page.read_text()))
    for name in re.findall(r"(?<![\w./-])((?:%s)/[a-z_0-9]+)(?![\w/.])" % "|".join(OWNERS), code):  # noqa: UP031
        if not (page.parent / name).exists() and not (ROOT / name).exists():
            begun = name.endswith("_") and any(metric.startswith(name) for metric in METRICS)  # written `name_…`
            assert begun or name in METRICS, f"{name} is no metric"


@pytest.mark.parametrize("page", PAGES, ids=identity)
def test_commands_exist(page: Path) -> None:
    names = {command.name for command in COMMANDS}
    text = page.read_text()
    quoted = [
        *re.findall(r"`azr ([a-z]+)[^`]*`", text),
        *re.findall(r"^(?: {4}|\$ )azr ([a-z]+)\b", text, re.MULTILINE),
    ]
    for word in quoted:
        assert word in names or word in ("train",), f"azr {word} is no command"


@pytest.mark.parametrize("page", PAGES, ids=identity)
def test_presets_exist(page: Path) -> None:
    for name in re.findall(r"azr [a-z ]+--config ([a-z0-9.-]+)(?=[\s`])", page.read_text()):
        assert name in preset_names() or name.endswith(".yaml") or name == "tiny", f"no preset is called {name}"
