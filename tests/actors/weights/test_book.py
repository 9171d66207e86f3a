"""The registry's state: versions kept, replicas and what they are at, orders and who owes a report."""

from __future__ import annotations

import msgspec

from actors.weights.book import Book
from actors.weights.records import Member, Order, Report, Stored
from azr.game.types import Version


def _stored(step: int, lineage: int = 0) -> Stored:
    return Stored(version=Version(lineage, step), path=f"/{lineage}.{step}", checksum="c", size=1)


def _member(name: str, state: str = "starting", pool: str = "shared") -> Member:
    return Member(name=name, pool=pool, state=state, port=1)  # type: ignore[arg-type]


def _serve(book: Book, name: str, pool: str = "shared") -> None:
    joined = book.join(_member(name, pool=pool))
    assert joined.state == "starting"
    assert book.update(msgspec.structs.replace(joined, state="serving"))


class TestVersions:
    def test_the_newest_is_the_highest_step_of_the_highest_lineage(self) -> None:
        book = Book(keep=10)
        for stored in (_stored(3), _stored(9), _stored(1, lineage=1)):
            book.store(stored)
        assert book.newest is not None
        assert book.newest.version == Version(1, 1)

    def test_only_the_last_few_are_kept_and_the_rest_is_named_for_removal(self) -> None:
        book = Book(keep=2)
        gone = [each.version.step for step in range(1, 6) for each in book.store(_stored(step))]
        assert gone == [1, 2, 3]
        assert sorted(version.step for version in book.versions) == [4, 5]

    def test_a_version_stored_twice_is_kept_once_and_its_file_not_removed(self) -> None:
        book = Book(keep=2)
        assert book.store(_stored(1)) == []
        assert book.store(_stored(1)) == []
        assert len(book.versions) == 1

    def test_there_is_none_at_first(self) -> None:
        assert Book(keep=2).newest is None


class TestMembers:
    def test_those_that_are_wanted_make_an_engine_and_the_rest_stands_by(self) -> None:
        book = Book(keep=1)
        book.want("shared", 2)
        assert [book.join(_member(name)).state for name in "abc"] == ["starting", "starting", "standby"]

    def test_a_standby_takes_the_place_of_one_that_is_lost(self) -> None:
        book = Book(keep=1)
        book.want("shared", 1)
        _serve(book, "a")
        book.join(_member("b"))
        book.leave("a", "its process ended")
        assert book.members["b"].state == "starting"
        assert (book.lost["a"].state, book.lost["a"].why) == ("lost", "its process ended")
        assert book.replaced == 1

    def test_that_no_engine_could_be_made_is_remembered_of_one_that_is_lost(self) -> None:
        book = Book(keep=1)
        for name in "ab":
            book.join(_member(name))
        book.leave("a", "a: no engine: ValueError: no room", unmade=True)
        book.leave("b", "its process ended")
        assert [member.unmade for member in book.lost.values()] == [True, False]

    def test_once_one_of_the_pool_serves_engines_can_be_made_again(self) -> None:
        book = Book(keep=1)
        for name, pool in (("a", "solve"), ("b", "propose")):
            book.join(_member(name, pool=pool))
            book.leave(name, "no engine", unmade=True)
        _serve(book, "c", "solve")
        assert [(member.unmade, member.why) for member in book.lost.values()] == [
            (False, "no engine"),
            (True, "no engine"),
        ]

    def test_the_replica_that_comes_in_its_stead_stands_by(self) -> None:
        book = Book(keep=1)
        book.want("shared", 1)
        _serve(book, "a")
        book.join(_member("b"))
        book.leave("a", "")
        assert book.join(_member("c")).state == "standby"

    def test_a_standby_of_another_pool_does_not(self) -> None:
        book = Book(keep=1)
        book.want("propose", 1)
        book.want("solve", 1)
        _serve(book, "p", "propose")
        _serve(book, "s", "solve")
        book.join(_member("standby", pool="solve"))
        book.leave("p", "")
        assert book.members["standby"].state == "standby"

    def test_one_that_makes_a_new_engine_keeps_its_place(self) -> None:
        book = Book(keep=1)
        book.want("shared", 1)
        _serve(book, "a")
        book.join(_member("b"))
        book.update(_member("a", "starting"))
        assert book.members["b"].state == "standby"

    def test_wanting_more_calls_a_standby(self) -> None:
        book = Book(keep=1)
        book.want("shared", 1)
        _serve(book, "a")
        book.join(_member("b"))
        book.want("shared", 2)
        assert book.members["b"].state == "starting"

    def test_when_one_too_many_serves_the_last_that_joined_stands_by(self) -> None:
        book = Book(keep=1)
        for name in "abc":
            _serve(book, name)
        book.want("shared", 2)
        assert book.members["c"].state == "serving", "Serve may be about to take one away itself"
        book.settle("shared")
        assert [book.members[name].state for name in "abc"] == ["serving", "serving", "standby"]
        book.settle("shared")
        assert book.members["b"].state == "serving"

    def test_one_that_was_given_up_and_came_back_serves_until_the_one_in_its_place_does(self) -> None:
        """Which takes a minute, in which nobody else might."""
        book = Book(keep=1)
        book.want("shared", 1)
        _serve(book, "a")
        book.join(_member("b"))
        book.leave("a", "it did not confirm weights")
        assert book.join(_member("a", "serving")).state == "serving"
        assert book.members["b"].state == "starting"
        book.settle("shared")
        assert book.members["a"].state == "serving"
        book.update(_member("b", "serving"))
        book.settle("shared")
        assert [book.members[name].state for name in "ab"] == ["standby", "serving"]

    def test_one_that_is_called_while_it_retires_makes_an_engine_when_it_stands_by(self) -> None:
        book = Book(keep=1)
        for name in "ab":
            _serve(book, name)
        book.want("shared", 1)
        book.settle("shared")
        assert book.members["b"].state == "standby", "it finishes what it has, which takes a minute"
        book.leave("a", "its process ended")
        assert book.members["b"].state == "starting"
        assert book.update(_member("b", "standby"))
        assert book.members["b"].state == "starting"

    def test_one_that_stands_by_and_is_not_wanted_is_left_standing_by(self) -> None:
        book = Book(keep=1)
        for name in "ab":
            _serve(book, name)
        book.want("shared", 1)
        book.settle("shared")
        assert book.update(_member("b", "standby"))
        assert book.members["b"].state == "standby"

    def test_one_that_is_leaving_counts_no_more(self) -> None:
        book = Book(keep=1)
        for name in "abc":
            _serve(book, name)
        book.want("shared", 2)
        book.update(_member("a", "leaving"))
        book.settle("shared")
        assert [book.members[name].state for name in "bc"] == ["serving", "serving"]

    def test_one_that_leaves_on_purpose_is_not_lost(self) -> None:
        book = Book(keep=1)
        _serve(book, "a")
        book.update(_member("a", "leaving"))
        book.leave("a", "")
        assert not book.lost
        assert book.replaced == 0

    def test_a_new_registry_believes_what_replicas_say_of_themselves(self) -> None:
        book = Book(keep=1)
        book.want("shared", 1)
        assert book.join(_member("standby", "standby")).state == "standby"
        assert book.join(_member("serving", "serving")).state == "serving"

    def test_a_standby_takes_the_place_of_one_that_a_new_registry_never_heard_of(self) -> None:
        book = Book(keep=1)
        book.want("shared", 2)
        for name, state in (("a", "standby"), ("b", "serving"), ("c", "standby")):
            book.join(_member(name, state))
        book.fill("shared")
        assert [book.members[name].state for name in "abc"] == ["starting", "serving", "standby"]

    def test_one_that_was_called_lost_is_told_to_join_again(self) -> None:
        book = Book(keep=1)
        _serve(book, "a")
        book.leave("a", "it did not answer")
        assert not book.update(_member("a", "serving"))
        assert book.join(_member("a", "serving")).state == "serving"
        assert "a" not in book.lost

    def test_the_lost_are_named_for_a_while_only(self) -> None:
        book = Book(keep=1)
        for number in range(100):
            _serve(book, str(number))
            book.leave(str(number), "")
        assert len(book.lost) == 32
        assert "99" in book.lost


class TestOrders:
    def _book(self) -> Book:
        book = Book(keep=1)
        for name in "ab":
            _serve(book, name)
        return book

    def _order(self, number: int = 0) -> Order:
        return Order(number=number, action="file", version=Version(0, 7))

    def _report(self, name: str, number: int, step: int = 7) -> Report:
        return Report(name=name, number=number, version=Version(0, step))

    def test_each_is_numbered_above_the_last(self) -> None:
        book = self._book()
        numbers = [book.give(self._order()).number for _ in range(3)]
        assert numbers == sorted(set(numbers))

    def test_those_that_serve_owe_a_report_and_no_others(self) -> None:
        book = self._book()
        book.want("shared", 2)
        book.join(_member("standby"))
        number = book.give(self._order()).number
        assert book.outstanding(number) == ("a", "b")
        book.report(self._report("a", number))
        assert book.outstanding(number) == ("b",)

    def test_a_replica_that_is_lost_owes_nothing(self) -> None:
        book = self._book()
        number = book.give(self._order()).number
        book.leave("b", "its process ended")
        book.report(self._report("a", number))
        assert book.outstanding(number) == ()

    def test_a_report_on_an_older_order_counts_for_nothing_but_the_version(self) -> None:
        book = self._book()
        old = book.give(self._order()).number
        new = book.give(self._order()).number
        book.report(self._report("a", old, step=6))
        assert book.outstanding(new) == ("a", "b")
        assert book.members["a"].version == Version(0, 6)

    def test_nobody_owes_a_report_on_an_order_that_another_has_replaced(self) -> None:
        book = self._book()
        old = book.give(self._order()).number
        book.give(self._order())
        assert book.outstanding(old) == ()

    def test_numbers_go_on_from_where_a_registry_before_this_one_may_have_been(self) -> None:
        book = self._book()
        book.numbered = 1_000_000
        assert book.give(self._order()).number == 1_000_001


def test_every_event_moves_the_sequence_that_watchers_wait_for() -> None:
    book = Book(keep=1)
    seen = [book.sequence]
    events = (
        lambda: book.store(_stored(1)),
        lambda: book.want("shared", 1),
        lambda: book.join(_member("a")),
        lambda: book.update(_member("a", "serving")),
        lambda: book.give(Order(number=0, action="file", version=Version(0, 1))),
        lambda: book.report(Report(name="a", number=1, version=Version(0, 1))),
        lambda: book.fill("shared"),
        lambda: book.leave("a", ""),
    )
    for event in events:
        event()
        seen.append(book.sequence)
    assert seen == sorted(set(seen))
