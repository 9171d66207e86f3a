"""vLLM's own transports up to the point where CUDA is needed: orders, ranks, labels, what is sent in which order."""

from __future__ import annotations

import base64
import pickle
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
import torch
from torch import Tensor

from actors.weights.records import Member, Order
from actors.weights.transports.ipc import CudaIpc, PicklingClient
from actors.weights.transports.native import NativeTransport, OrderingClient, device_source
from actors.weights.transports.nccl import NcclBroadcast
from azr.errors import AzrError
from azr.game.types import Version

WEIGHTS = {"b": torch.ones(2, 3), "a": torch.zeros(4, dtype=torch.bfloat16)}


class Fleet:
    """Notes orders and has them carried out at once."""

    def __init__(self, *names: str) -> None:
        self.members = tuple(Member(name=name, workers=2, state="serving") for name in names)
        self.orders: list[Order] = []
        self.failing = ""

    def give(self, order: Order) -> int:
        self.orders.append(order)
        return len(self.orders)

    def carried_out(self, number: int) -> None:
        if self.failing == self.orders[number - 1].action:
            raise RuntimeError("replica-b: out of memory")

    def seconds_left(self) -> float:
        return 10.0


class Sender:
    """What vLLM's trainer-side engine does with its client, without its bytes."""

    def __init__(self, client: OrderingClient, source: Any) -> None:
        self.client, self.source = client, source
        self.ended = False
        client.init_weight_transfer_engine({"master_address": "h", "master_port": 1, "rank_offset": 1, "world_size": 5})

    def send_weights(self) -> None:
        self.client.start_weight_update()
        self.client.update_weights({"names": [meta.name for meta in self.source.metadata()]})
        self.client.finish_weight_update()

    def shutdown(self) -> None:
        self.ended = True


class Transport(NativeTransport):
    """With a sender that needs no GPU."""

    def __init__(self) -> None:
        super().__init__()
        self.senders: list[Sender] = []

    def _make_sender(self, client: OrderingClient, _fleet: Any) -> Sender:
        self.senders.append(Sender(client, self._source()))
        return self.senders[-1]


class TestOrders:
    def test_each_replica_joins_at_its_own_ranks(self) -> None:
        fleet = Fleet("a", "b")
        Transport().carry(Version(0, 1), "sum", WEIGHTS, fleet)
        [init, _] = fleet.orders
        assert init.action == "native_init"
        assert init.details == {"a": {"rank_offset": 1}, "b": {"rank_offset": 3}}
        assert init.info["world_size"] == 5

    def test_weights_are_labelled_with_their_version_and_only_for_who_is_in_the_group(self) -> None:
        fleet = Fleet("a", "b")
        number = Transport().carry(Version(2, 7), "sum", WEIGHTS, fleet)
        update = fleet.orders[number - 1]
        assert (update.action, update.version, update.checksum) == ("native_update", Version(2, 7), "sum")
        assert set(update.details) == {"a", "b"}
        assert update.info == {"names": ["b", "a"]}

    def test_the_group_is_formed_once_for_the_same_replicas_and_anew_for_others(self) -> None:
        transport = Transport()
        fleet = Fleet("a", "b")
        for step in range(3):
            transport.carry(Version(0, step), "", WEIGHTS, fleet)
        assert [order.action for order in fleet.orders] == ["native_init", *["native_update"] * 3]
        other = Fleet("a", "c")
        transport.carry(Version(0, 4), "", WEIGHTS, other)
        assert [order.action for order in other.orders] == ["native_init", "native_update"]
        assert transport.senders[0].ended

    def test_a_replica_that_made_a_new_engine_is_in_no_group_any_more(self) -> None:
        """It keeps its name; sending to its old engine would wait for ever."""
        transport = Transport()
        transport.carry(Version(0, 1), "", WEIGHTS, Fleet("a", "b"))
        fleet = Fleet("a", "b")
        fleet.members = (fleet.members[0], msgspec.structs.replace(fleet.members[1], engine_pids=(4321,)))
        transport.carry(Version(0, 2), "", WEIGHTS, fleet)
        assert [order.action for order in fleet.orders] == ["native_init", "native_update"]
        assert transport.senders[0].ended

    @pytest.mark.parametrize("failing", ["native_init", "native_update"])
    def test_after_a_failure_the_next_version_forms_a_new_group(self, failing: str) -> None:
        transport = Transport()
        fleet = Fleet("a", "b")
        fleet.failing = failing
        with pytest.raises(RuntimeError, match="replica-b"):
            transport.carry(Version(0, 1), "", WEIGHTS, fleet)
        fleet.failing = ""
        fleet.orders.clear()
        transport.carry(Version(0, 2), "", WEIGHTS, fleet)
        assert [order.action for order in fleet.orders] == ["native_init", "native_update"]

    def test_without_replicas_the_file_is_all_there_is(self) -> None:
        fleet = Fleet()
        Transport().carry(Version(0, 1), "", WEIGHTS, fleet)
        assert [order.action for order in fleet.orders] == ["file"]


class TestSource:
    def test_what_it_declares_is_what_it_yields_in_the_same_order(self) -> None:
        source = device_source(lambda: WEIGHTS)
        declared = [(meta.name, meta.dtype, meta.shape) for meta in source.metadata()]
        yielded = [(name, tensor.dtype, tuple(tensor.shape)) for name, tensor in source]
        assert declared == yielded == [("b", torch.float32, (2, 3)), ("a", torch.bfloat16, (4,))]

    def test_each_round_sends_the_newest_tensors(self) -> None:
        transport = Transport()
        fleet = Fleet("a")
        transport.carry(Version(0, 1), "", WEIGHTS, fleet)
        newer: Mapping[str, Tensor] = {"only": torch.ones(1)}
        transport.carry(Version(0, 2), "", newer, fleet)
        assert fleet.orders[-1].info == {"names": ["only"]}


class TestUpToCuda:
    """The real senders of vLLM, on a machine without a GPU: they must fail there, and only there."""

    @pytest.mark.skipif(torch.cuda.is_available(), reason="here they would go on")
    def test_nccl_asks_all_replicas_to_join_and_fails_where_it_needs_a_gpu(self) -> None:
        fleet = Fleet("a", "b")
        with pytest.raises(RuntimeError, match="accelerator"):
            NcclBroadcast("127.0.0.1").carry(Version(0, 1), "", WEIGHTS, fleet)
        assert [order.action for order in fleet.orders] == ["native_init"]
        assert fleet.orders[0].info["packed"] is False, "buffers of a GiB are more than a learner's card has to spare"

    @pytest.mark.skipif(torch.cuda.is_available(), reason="here they would go on")
    def test_ipc_fails_where_it_needs_a_gpu(self) -> None:
        with pytest.raises((RuntimeError, AssertionError, AttributeError)):
            CudaIpc().carry(Version(0, 1), "", WEIGHTS, Fleet("a"))

    def test_ipc_does_not_meet_the_other_ranks_of_a_learner(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """vLLM's sender would gather and wait in their process group, in the midst of their training step."""
        monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
        monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
        fleet = Fleet("a")
        with pytest.raises(AzrError, match="ipc serves one learner rank"):
            CudaIpc().carry(Version(0, 1), "", WEIGHTS, fleet)
        assert fleet.orders == []

    def test_handles_travel_in_the_form_that_an_engine_takes(self) -> None:
        from vllm.distributed.weight_transfer.ipc_engine import IPCWeightTransferUpdateInfo

        fleet = Fleet("a")
        client = PicklingClient(fleet)
        handles = [{"GPU-1": ("rebuild", 3)}]
        client.update_weights({"names": ["w"], "dtype_names": ["float32"], "shapes": [[3]], "ipc_handles": handles})
        info = fleet.orders[0].info
        assert pickle.loads(base64.b64decode(info["ipc_handles_pickled"])) == handles
        with pytest.raises(ValueError, match="VLLM_ALLOW_INSECURE_SERIALIZATION"):
            IPCWeightTransferUpdateInfo(**info)
