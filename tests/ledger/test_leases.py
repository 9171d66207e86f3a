"""Work whose holder falls silent comes back."""

from __future__ import annotations

from azr.ledger.leases import Lease, Leases


def test_a_lease_runs_out_at_its_deadline_and_not_before() -> None:
    leases = Leases(seconds=10.0)
    assert leases.grant("work", "ann", now=5.0) == Lease("ann", 15.0)
    assert leases.expire(14.9) == {}
    assert leases.expire(15.0) == {"work": "ann"}
    assert leases.expire(99.0) == {}
    assert leases.holder("work") is None


def test_a_lease_that_is_renewed_runs_from_then_on() -> None:
    leases = Leases(10.0)
    for key, owner, now in (("a", "ann", 0.0), ("b", "bob", 0.0), ("a", "ann", 8.0)):
        leases.grant(key, owner, now)
    assert leases.expire(17.9) == {"b": "bob"}
    assert leases.expire(18.0) == {"a": "ann"}


def test_work_done_does_not_come_back() -> None:
    leases = Leases(10.0)
    leases.grant("a", "ann", 0.0)
    leases.release("a")
    leases.release("never granted")
    assert leases.expire(100.0) == {}
    assert len(leases) == 0


def test_work_passed_on_belongs_to_the_new_owner_until_their_deadline() -> None:
    leases = Leases(10.0)
    leases.grant("a", "ann", 0.0)
    leases.grant("a", "bob", 5.0)
    assert leases.holder("a") == "bob"
    assert leases.expire(10.0) == {}
    assert leases.expire(15.0) == {"a": "bob"}


def test_a_lease_may_be_shorter_than_usual() -> None:
    leases = Leases(600.0)
    leases.grant("a", "", 0.0, seconds=5.0)
    assert leases.expire(5.0) == {"a": ""}


def test_work_released_and_granted_anew_is_not_taken_by_its_old_deadline() -> None:
    leases = Leases(10.0)
    leases.grant("a", "ann", 0.0)
    leases.release("a")
    leases.grant("a", "ann", 9.0)
    assert leases.expire(10.0) == {}
    assert leases.holder("a") == "ann"
