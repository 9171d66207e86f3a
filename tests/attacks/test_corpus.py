"""What the corpus promises of itself: enough attacks, each said in words, each shown or its silence explained."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.attacks import bare, corpus, world
from tests.attacks.corpus import Effect, Entry

ENTRIES = corpus.load()

#: How many there must be.
ATTACKS = 80
ATTACKS_A_CLASS = 10

#: Share of a class that must be shown against bare `exec`. Parsing is the exception: CPython's own parser has become
#: robust, and most of what is in that class guards other readers.
SHOWN = 0.6


def test_there_are_enough_attacks_in_every_class() -> None:
    counts = Counter(entry.group for entry in ENTRIES)
    assert sum(counts.values()) >= ATTACKS
    assert {group: counts[group] for group in corpus.CLASSES if counts[group] < ATTACKS_A_CLASS} == {}


def test_most_attacks_of_each_class_are_shown_against_bare_exec() -> None:
    for group in corpus.CLASSES:
        of_class = [entry for entry in ENTRIES if entry.group == group]
        shown = [entry for entry in of_class if entry.attack.bare]
        assert len(shown) >= ATTACKS_A_CLASS, group
        assert group == "parser" or len(shown) >= SHOWN * len(of_class), group


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.id)
def test_an_attack_says_what_must_happen_and_why_it_is_not_shown(entry: Entry) -> None:
    assert entry.tries.endswith("."), "the docstring is a sentence"
    assert entry.attack.must.endswith("."), "what must happen is a sentence"
    assert bool(entry.attack.bare) != bool(entry.attack.why_not), "shown, or explained, and not both"


@pytest.fixture(scope="module")
def seen(request: pytest.FixtureRequest) -> dict[str, set[Effect]]:
    """The effects of all attacks that this test run asks about, found side by side."""
    asked = {entry.id for item in request.session.items if (entry := _entry(item))}
    return bare.effects_of_all(entry for entry in ENTRIES if entry.attack.bare and entry.id in asked)


@pytest.mark.attack
@pytest.mark.parametrize("entry", [entry for entry in ENTRIES if entry.attack.bare], ids=lambda entry: entry.id)
def test_the_attack_succeeds_against_bare_exec(entry: Entry, seen: dict[str, set[Effect]]) -> None:
    assert entry.attack.bare in seen[entry.id]


def test_a_harmless_program_has_no_effect_on_bare_exec() -> None:
    """The proof above means something only if effects are not seen where there are none."""
    harmless = corpus.RunAttack(must="", bare=None, program="def f(x):\n    return x * 2")
    with world.planted() as planted:
        assert bare.effects(harmless, planted) == set()


def _entry(item: pytest.Item) -> Entry | None:
    parameters = getattr(item, "callspec", None)
    found = parameters.params.get("entry") if parameters else None
    return found if isinstance(found, Entry) else None
