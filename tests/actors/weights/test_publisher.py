"""What a publisher makes of weights and reports; the whole way is tested in tests/actors/rollout."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import msgspec
import pytest
import ray
import torch
from ray.exceptions import RayTaskError
from safetensors import SafetensorError

from actors.engine.records import UpdateTimes
from actors.host import host_id
from actors.weights import publisher as publisher_module
from actors.weights.fingerprint import fingerprint
from actors.weights.publisher import WeightPublisher, _cast, _differing, _disagreeing, make_transport
from actors.weights.records import Member, Order, Report, UpdateReport
from actors.weights.setbacks import Setbacks
from actors.weights.transports import bounded
from actors.weights.transports.base import Fleet
from actors.weights.transports.files import file_name, receive_file
from azr.config.sections.weights import WeightsConfig
from azr.errors import AzrError
from azr.game.types import Version

NEW, OLD = Version(0, 7), Version(0, 6)


def _report(name: str, version: Version = NEW, loaded: str = "sum", error: str = "") -> Report:
    times = UpdateTimes(version=version, stage=0.0, pause=0.0, apply=0.0, resume=0.0, loaded=loaded)
    return Report(name=name, number=1, version=version, times=None if error else times, error=error)


def _healed(name: str, version: Version = NEW, loaded: str = "sum") -> Report:
    """Its update was torn, and it took the file."""
    return msgspec.structs.replace(_report(name, version, loaded), error="torn")


class TestComparing:
    def test_replicas_that_agree_are_not_mentioned(self) -> None:
        assert _differing([_report("a"), _report("b")], NEW) == []

    def test_one_that_serves_an_older_version_is_named(self) -> None:
        assert _differing([_report("a"), _report("b", OLD, loaded="")], NEW) == ["b serves 0.6"]

    def test_one_that_serves_a_newer_version_is_fine(self) -> None:
        assert _differing([_report("a"), _report("b", Version(0, 8), loaded="")], NEW) == []

    def test_one_whose_weights_differ_is_named_and_not_the_many(self) -> None:
        found = _differing([_report("a"), _report("b", loaded="other"), _report("c")], NEW)
        assert found == ["b holds weights of checksum other where the others hold sum"]

    def test_one_that_failed_is_named_for_that_alone(self) -> None:
        assert _differing([_report("a"), _report("b", OLD, loaded="other", error="torn")], NEW) == []

    def test_one_that_was_healed_is_held_to_what_it_has_now(self) -> None:
        assert _differing([_report("a"), _healed("b"), _report("c")], NEW) == []
        assert _differing([_report("a"), _healed("b", OLD, loaded="")], NEW) == ["b serves 0.6"]
        wrong = [_report("a"), _healed("b", loaded="other"), _report("c")]
        assert _disagreeing(wrong) == ["b"]
        assert _differing(wrong, NEW) == ["b holds weights of checksum other where the others hold sum"]

    def test_a_version_is_everywhere_when_nobody_is_missing(self) -> None:
        assert UpdateReport(version=NEW, reports=(_report("a"),)).complete
        assert not UpdateReport(version=NEW, reports=(), missing=("a did not confirm",)).complete


class TestWhoIsWrong:
    def test_nobody_where_all_agree(self) -> None:
        assert _disagreeing([_report("a"), _report("b")]) == []

    def test_the_few_and_not_the_many(self) -> None:
        assert _disagreeing([_report("a"), _report("b", loaded="x"), _report("c")]) == ["b"]

    def test_all_where_there_is_no_majority(self) -> None:
        reports = [_report("a"), _report("b", loaded="x")]
        assert _disagreeing(reports) == ["a", "b"]
        assert _differing(reports, NEW) == [
            "a holds weights of checksum sum and there is no majority",
            "b holds weights of checksum x and there is no majority",
        ]

    def test_one_that_had_the_version_before_the_order_is_heard_as_well(self) -> None:
        """By a broadcast that broke for others: it confirms the file without taking it."""
        had = Report(name="b", number=1, version=NEW, transport="none", loaded="x")
        assert _disagreeing([_report("a"), had, _report("c")]) == ["b"]
        assert _differing([_report("a"), had, _report("c")], NEW) == [
            "b holds weights of checksum x where the others hold sum"
        ]

    def test_one_that_failed_does_not_vote(self) -> None:
        assert _disagreeing([_report("a"), _report("b", loaded="x", error="torn")]) == []


class TestCasting:
    def test_weights_travel_in_the_engines_dtype_and_other_tensors_as_they_are(self) -> None:
        weights = {"w": torch.ones(2, requires_grad=True), "steps": torch.tensor([3])}
        cast = _cast(weights, "bfloat16")
        assert {name: tensor.dtype for name, tensor in cast.items()} == {"w": torch.bfloat16, "steps": torch.int64}
        assert not cast["w"].requires_grad

    def test_without_a_dtype_nothing_changes(self) -> None:
        assert _cast({"w": torch.ones(2, dtype=torch.float64)}, "")["w"].dtype == torch.float64


def _without_ray() -> WeightPublisher:
    """A publisher that has asked no registry yet."""
    publisher = object.__new__(WeightPublisher)
    publisher._confirmed = frozenset()
    publisher._not_carried, publisher._setbacks = None, Setbacks()
    return publisher


class Registry:
    """Answers a publisher's questions: one replica serves, and reports on every order at once."""

    def __init__(self) -> None:
        self.orders: list[Order] = []

    def ask(self, method: str, *arguments: Any) -> Any:
        match method:
            case "members":
                return [Member(name="a", state="serving", port=1)]
            case "give":
                self.orders.append(arguments[0])
                return len(self.orders)
            case "outcome":
                return True, [_report("a")], []
        raise AssertionError(method)


def test_a_transport_that_cannot_be_made_costs_nothing_but_its_place_and_replicas_take_the_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def make(*_given: object) -> None:
        raise KeyError("AZR_COPIES")

    registry, publisher = Registry(), _without_ray()
    publisher._config, publisher._transport_name, publisher._transport = WeightsConfig(), "mine", None
    publisher._folder = Path()
    monkeypatch.setattr("actors.weights.publisher.make_transport", make)
    monkeypatch.setattr(publisher, "_ask", registry.ask)
    reports, missing = publisher._hand_on(NEW, {}, "sum", time.monotonic() + 5.0)
    assert ([report.name for report in reports], missing) == (["a"], [])
    assert [order.action for order in registry.orders] == ["file"]


def test_a_version_that_the_transport_did_not_carry_says_so_in_its_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """All replicas confirm the file, so that nothing else would tell of it."""

    class Wavers:
        calls = 0

        def carry(self, version: Version, _checksum: str, _tensors: object, fleet: Fleet) -> int:
            Wavers.calls += 1
            if Wavers.calls == 1:
                raise OSError("no \x1b[31mroute")
            return fleet.give(Order(number=0, action="file", version=version))

    registry, publisher = Registry(), _without_ray()
    publisher._config, publisher._transport_name, publisher._transport = WeightsConfig(), "mine", None
    publisher._folder, publisher._dtype, publisher.on_report = Path(), "", lambda _: None
    monkeypatch.setattr("actors.weights.publisher.make_transport", lambda *_: Wavers())
    monkeypatch.setattr(publisher, "_ask", registry.ask)
    monkeypatch.setattr(publisher, "_store", lambda *_: ("sum", 12))
    first, second = (publisher.publish(NEW, {}) for _ in range(2))
    assert (first.not_carried, first.missing) == ("mine could not carry them (no \\x1b[31mroute)", ())
    assert second.not_carried == ""


def test_a_transport_that_fails_twice_in_a_row_rests_until_other_replicas_serve(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A group that cannot form may keep engines from sampling for minutes, at each version anew."""

    class Serves(Registry):
        names = "ab"

        def ask(self, method: str, *arguments: Any) -> Any:
            if method == "members":
                return [Member(name=name, state="serving", port=1) for name in self.names]
            return super().ask(method, *arguments)

    class Fails(Carries):
        fails = True

        def carry(self, version: Version, checksum: str, tensors: Mapping[str, torch.Tensor], fleet: Fleet) -> int:
            tried.append(len(said))
            if self.fails:
                raise OSError("no route")
            return super().carry(version, checksum, tensors, fleet)

    registry, transport, publisher = Serves(), Fails(), _without_ray()
    publisher._config, publisher._transport_name, publisher._transport = WeightsConfig(), "nccl", transport
    publisher._folder = Path()
    monkeypatch.setattr("actors.weights.publisher.make_transport", lambda *_: transport)
    monkeypatch.setattr(publisher, "_ask", registry.ask)
    said, tried = list[str | None](), list[int]()
    for names, fails in [("ab", True)] * 3 + [("bc", True)] * 2 + [("cd", False)] + [("cd", True)] * 2:
        registry.names, transport.fails = names, fails
        publisher._hand_on(NEW, {}, "sum", time.monotonic() + 5.0)
        said.append(publisher._not_carried)
    once = "nccl could not carry them (no route)"
    assert said == [
        once,
        f"{once}; it rests for 4 versions",
        "nccl failed 2 times in a row and rests for 4 more versions",
        f"{once}; it rests for 8 versions",
        "nccl failed 3 times in a row and rests for 8 more versions",
        "",
        once,
        f"{once}; it rests for 4 versions",
    ]
    assert tried == [0, 1, 3, 5, 6, 7]


def test_a_replica_that_was_healed_tells_of_its_transport(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has whole weights by the file, so that it is missing nowhere."""
    publisher, registry = _without_ray(), Registry()
    publisher._config, publisher._transport_name, publisher._transport = WeightsConfig(), "gloo", Carries()

    def ask(method: str, *arguments: Any) -> Any:
        return (True, [_healed("a"), _report("b")], []) if method == "outcome" else registry.ask(method, *arguments)

    monkeypatch.setattr(publisher, "_ask", ask)
    for _ in range(3):
        _, missing = publisher._hand_on(NEW, {}, "sum", time.monotonic() + 5.0)
        assert (publisher._not_carried, missing) == ("gloo failed at a: torn", []), "b is reached: no rest"


@pytest.mark.parametrize(
    ("needs_file", "seen", "told"),
    [(True, True, ["adopt"]), (True, False, ["make_way", "accept"]), (False, True, ["make_way", "accept"])],
)
def test_a_transport_that_reads_the_file_has_it_written_here_though_the_registry_is_elsewhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, needs_file: bool, seen: bool, told: list[str]
) -> None:
    """Into the folder that both machines see; where this one does not see it, the registry gets the bytes."""
    asked: list[str] = []
    publisher = _without_ray()
    publisher._transport_name, publisher._host = "mine", "elsewhere"
    publisher._transport, publisher._folder = SimpleNamespace(needs_file=needs_file), tmp_path / "versions"
    monkeypatch.setattr(publisher, "_ask", lambda method, *_, **__: asked.append(method))
    if seen:
        publisher._folder.mkdir()
    publisher._store(NEW, {"w": torch.arange(3.0)}, lambda: "sum", time.monotonic() + 1.0)
    assert asked == told
    assert (publisher._folder / file_name(NEW)).exists() == (told == ["adopt"])


class Hangs:
    """A transport that comes back when it is closed, and then gives an order after all."""

    def __init__(self) -> None:
        self.closed, self.refused = threading.Event(), threading.Event()

    def carry(self, version: Version, checksum: str, tensors: Mapping[str, torch.Tensor], fleet: Fleet) -> int:
        self.closed.wait(60)
        try:
            return fleet.give(Order(number=0, action="native_update", version=version))
        except TimeoutError:
            self.refused.set()
            raise

    def close(self) -> None:
        self.closed.set()


def test_a_transport_that_hangs_costs_its_share_of_the_time_and_replicas_take_the_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bounded, "_GRACE_SECONDS", 0.1)
    registry, transport = Registry(), Hangs()
    publisher = _without_ray()
    publisher._config, publisher._transport_name, publisher._transport = WeightsConfig(), "nccl", transport
    monkeypatch.setattr(publisher, "_ask", registry.ask)
    reports, missing = publisher._hand_on(NEW, {}, "sum", time.monotonic() + 1.0)
    assert transport.refused.wait(10), "an order that comes too late is not given"
    assert [(order.action, order.version) for order in registry.orders] == [("file", NEW)]
    assert ([report.name for report in reports], missing) == (["a"], [])
    assert publisher._transport is None, "the next version gets another"


def test_who_is_late_in_the_senders_share_is_not_given_up_and_may_take_the_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Given up then, nobody would be waited for in what is left, and the version count as everywhere."""

    class Slow(Registry):
        def ask(self, method: str, *arguments: Any) -> Any:
            if method == "leave":
                left.append(arguments[0])
                return None
            late = method == "outcome" and self.orders[-1].action == "native_update"
            return (True, [], ["a"]) if late else super().ask(method, *arguments)

    class Waits(Hangs):
        def carry(self, version: Version, checksum: str, tensors: Mapping[str, torch.Tensor], fleet: Fleet) -> int:
            fleet.carried_out(number := fleet.give(Order(number=0, action="native_update", version=version)))
            return number

    left: list[str] = []
    registry = Slow()
    publisher = _without_ray()
    publisher._config, publisher._transport_name, publisher._transport = WeightsConfig(), "nccl", Waits()
    monkeypatch.setattr(publisher, "_ask", registry.ask)
    reports, missing = publisher._hand_on(NEW, {}, "sum", time.monotonic() + 0.6)
    assert [order.action for order in registry.orders] == ["native_update", "file"]
    assert ([report.name for report in reports], missing, left) == (["a"], [], [])


class Carries:
    """A transport that says when it was used."""

    used = False

    def carry(self, version: Version, checksum: str, tensors: Mapping[str, torch.Tensor], fleet: Fleet) -> int:
        self.used = True
        return fleet.give(Order(number=0, action="native_update", version=version))

    def close(self) -> None:
        """Nothing to close."""


@pytest.mark.parametrize(("version", "by_transport"), [(Version(0, 0), False), (Version(0, 1), True)])
def test_a_version_that_engines_have_already_is_not_broadcast_to_them(
    version: Version, by_transport: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run's first publication has the version that engines begin with: they would join and not receive."""
    registry, transport = Registry(), Carries()
    publisher = _without_ray()
    publisher._config, publisher._transport_name, publisher._transport = WeightsConfig(), "nccl", transport
    monkeypatch.setattr(publisher, "_ask", registry.ask)
    publisher._hand_on(version, {}, "sum", time.monotonic() + 5.0)
    assert transport.used == by_transport
    assert [order.action for order in registry.orders] == ["native_update" if by_transport else "file"]


def test_an_order_that_a_restarted_registry_does_not_know_any_more_is_put_down_to_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    publisher = _without_ray()
    monkeypatch.setattr(publisher, "_ask", lambda method, *arguments: (False, [], []))
    found = publisher._wait(1, time.monotonic() + 1.0, ["a"])
    assert found == ([], ["registry: it was restarted, and the order is lost"])


def test_one_that_was_healed_is_missing_nowhere_but_to_its_transport(monkeypatch: pytest.MonkeyPatch) -> None:
    """The group that it was in is broken, and the next version is to form another."""
    reports = [_healed("a"), _report("b", OLD, error="no space")]
    publisher = _without_ray()
    monkeypatch.setattr(publisher, "_ask", lambda method, *arguments: (True, reports, []))
    assert publisher._wait(1, time.monotonic(), ["a", "b"]) == (reports, ["b: no space"])
    assert publisher._wait(1, time.monotonic(), ["a", "b"], give_up=False)[1] == ["a: torn", "b: no space"]


def test_who_confirmed_the_version_before_owes_a_report_also_where_a_new_registry_knows_nobody_yet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Or the version counted as everywhere before anybody had it."""
    expected: list[list[str]] = []

    class New(Registry):
        def ask(self, method: str, *arguments: Any) -> Any:
            if method == "outcome":
                expected.append(arguments[1])
            return [] if method == "members" else super().ask(method, *arguments)

    publisher = _without_ray()
    publisher._config, publisher._transport_name, publisher._transport = WeightsConfig(), "shm", Carries()
    publisher._confirmed = frozenset({"a", "b"})
    monkeypatch.setattr(publisher, "_ask", New().ask)
    publisher._hand_on(NEW, {}, "sum", time.monotonic() + 5.0)
    assert expected == [["a", "b"]]


def test_one_that_makes_a_new_engine_is_missing_for_that_and_not_for_what_the_old_one_held(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class TakesItWronglyAgain(Registry):
        def ask(self, method: str, *arguments: Any) -> Any:
            if method == "outcome":
                renewed = self.orders[-1].details["b"]["renew"]
                return True, [] if renewed else [_report("b", loaded="other")], []
            return super().ask(method, *arguments)

    publisher, registry = _without_ray(), TakesItWronglyAgain()
    publisher._config = WeightsConfig()
    monkeypatch.setattr(publisher, "_ask", registry.ask)
    told = [_report("a"), _report("b", loaded="other"), _report("c")]
    reports, missing = publisher._mend(NEW, told, [], time.monotonic() + 5.0)
    assert [order.details["b"] for order in registry.orders] == [{"renew": False}, {"renew": True}]
    assert missing == ["b makes a new engine: its weights differed"]
    assert ([report.name for report in reports], _differing(reports, NEW)) == (["a", "c"], [])


def test_a_registry_on_another_machine_gets_the_bytes_of_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def answer(method: str, *arguments: Any, **_: Any) -> Any:
        if method == "accept":
            (tmp_path / "there").write_bytes(arguments[1].tobytes())
            assert arguments[2] == "sum"
        return ("another", "/nowhere/here")

    publisher = _without_ray()
    publisher._transport_name, publisher._host = "shm", ""
    monkeypatch.setattr(publisher, "_ask", answer)
    checksum, size = publisher._store(NEW, {"w": torch.arange(3.0)}, lambda: "sum", time.monotonic() + 1.0)
    assert (checksum, (tmp_path / "there").stat().st_size) == ("sum", size)
    assert receive_file({"path": str(tmp_path / "there")})[0][1].tolist() == [0, 1, 2]


class TestAFolderWithoutRoom:
    """A container's /dev/shm, say, while the run's own disk is free: the error names the folder, and what helps."""

    TENSORS: ClassVar = {"w": torch.arange(3.0)}

    @pytest.fixture
    def publisher(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> WeightPublisher:
        """Its registry is on this machine and keeps two versions in a folder."""
        publisher = _without_ray()
        publisher._config = WeightsConfig(keep_versions=2)
        publisher._transport_name, publisher._host = "shm", ""
        answers = {"begin_publishing": (host_id(), str(tmp_path)), "adopt": None}
        monkeypatch.setattr(publisher, "_ask", lambda method, *_: answers[method])
        return publisher

    def _store(self, publisher: WeightPublisher, step: int) -> None:
        publisher._store(Version(0, step), self.TENSORS, lambda: "sum", time.monotonic() + 1.0)

    @pytest.mark.parametrize(("there", "free"), [(0, 36), (2, 12)])
    def test_is_told_at_the_first_version_and_not_at_the_third(
        self, publisher: WeightPublisher, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, there: int, free: int
    ) -> None:
        """Those that a learner before this one left take their places already."""
        for step in range(there):
            (tmp_path / file_name(Version(0, step))).touch()
        usage = SimpleNamespace(free=free - 1)
        monkeypatch.setattr(shutil, "disk_usage", lambda _folder: usage)
        with pytest.raises(
            AzrError, match=r"3 must fit \(weights\.keep_versions=2, .*\), and 0\.00 GiB are free"
        ) as told:
            self._store(publisher, 7)
        assert told.value.what.startswith(
            f"{tmp_path} does not take weights of 12 bytes (0.00 GiB) beside the {there} versions there: "
        )
        usage.free, publisher._host = free, ""
        self._store(publisher, 7)

    @pytest.mark.parametrize(
        "error", [SafetensorError("I/O error: No space left on device (os error 28)"), OSError(28, "No space left")]
    )
    def test_is_named_by_whichever_version_does_not_fit(
        self, publisher: WeightPublisher, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception
    ) -> None:
        """The library's own error names none."""

        def full(_path: Path, _tensors: Any) -> int:
            raise error

        self._store(publisher, 6)
        monkeypatch.setattr(publisher_module, "write_file", full)
        with pytest.raises(AzrError, match=r"beside the 1 versions there: .*No space left") as told:
            self._store(publisher, 7)
        assert told.value.what.startswith(str(tmp_path))
        assert "weights.folder" in told.value.mend


def test_what_the_registry_refuses_on_another_machine_is_told_in_its_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray's error would be a page: where there, and in which process."""
    told = AzrError("/dev/shm/azr-run does not take weights of 12 bytes", "make room there")

    def get(_answer: object, timeout: float) -> None:
        raise RayTaskError("accept", "a page", told, "weights", 7, "elsewhere").make_dual_exception_instance()

    publisher = _without_ray()
    publisher._registry = SimpleNamespace(accept=SimpleNamespace(remote=lambda *_: None))
    monkeypatch.setattr(ray, "get", get)
    with pytest.raises(AzrError) as raised:
        publisher._ask("accept")
    assert raised.value is told


def test_a_store_that_takes_all_of_a_versions_time_leaves_the_replicas_half_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Or all of them were given up for a slow disk."""
    publisher = _without_ray()
    publisher._config, publisher._dtype = WeightsConfig(publish_seconds=0.4), ""
    publisher.on_report = lambda _: None
    left: list[float] = []

    def slow(_version: Version, _tensors: Any, summed: Any, _ends: float) -> tuple[str, int]:
        time.sleep(0.5)
        return summed(), 12

    def hand_on(_version: Version, _tensors: Any, _checksum: str, ends: float) -> tuple[list[Any], list[str]]:
        left.append(ends - time.monotonic())
        return [], []

    monkeypatch.setattr(publisher, "_store", slow)
    monkeypatch.setattr(publisher, "_hand_on", hand_on)
    report = publisher.publish(NEW, {"w": torch.arange(3.0)})
    assert 0.1 < left[0] <= 0.2
    assert (report.checksum, report.size) == (fingerprint([("w", torch.arange(3.0))]), 12)


class TestTransports:
    @pytest.mark.parametrize("name", ["shm", "disk", "gloo", "nccl", "ipc"])
    def test_each_has_a_sender_that_is_made_without_a_gpu(self, name: str, tmp_path: Path) -> None:
        make_transport(name, tmp_path, WeightsConfig(master_address="127.0.0.1")).close()

    def test_an_unknown_one_is_refused_with_the_known(self, tmp_path: Path) -> None:
        with pytest.raises(AzrError, match="pigeon"):
            make_transport("pigeon", tmp_path, WeightsConfig())
