"""Connections whose other end may be gone without a word are asked after by the kernel."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest
import uvloop

from actors.keepalive import keep_alive

WANTED = {
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE): 1,
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE): 10,
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL): 5,
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT): 3,
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT): 25_000,
}


async def _both_ends() -> tuple[list[dict[tuple[int, int], int]], bytes]:
    """The options of a real connection, on both sides, and what still came through it."""
    found: list[dict[tuple[int, int], int]] = []
    accepted: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def note(writer: asyncio.StreamWriter) -> None:
        keep_alive(writer)
        own = socket.socket(fileno=writer.get_extra_info("socket").fileno())
        found.append({option: own.getsockopt(*option) for option in WANTED})
        own.detach()

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        note(writer)
        writer.write(b"still here")
        writer.close()
        accepted.set_result(None)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    note(writer)
    came = await asyncio.wait_for(reader.read(), 30)
    await asyncio.wait_for(accepted, 30)
    writer.close()
    server.close()
    return found, came


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_both_ends_ask_and_the_connection_is_what_it_was(new_loop: Callable[[], Any]) -> None:
    """Serve's replicas run on uvloop, whose sockets are none."""
    with asyncio.Runner(loop_factory=new_loop) as runner:
        found, came = runner.run(_both_ends())
    assert found == [WANTED, WANTED]
    assert came == b"still here"
