"""Connections that end when the machine at their other end is gone: without power or network nobody says goodbye.

The end of a connection is how registry, clients and replicas learn of each other's end. The kernel tells it at once
when a process dies, and never when its machine does, while nothing is being sent. So it is made to ask.
"""

from __future__ import annotations

import asyncio
import os
import socket

#: Seconds of silence before the kernel asks, between two questions, and how many may stay unanswered.
_IDLE, _INTERVAL, _PROBES = 10, 5, 3

#: How long what was sent may stay unacknowledged, in milliseconds: as long as silence may last.
_UNACKNOWLEDGED = 1000 * (_IDLE + _INTERVAL * _PROBES)


def keep_alive(connection: asyncio.StreamWriter) -> None:
    """Have a TCP connection end some 25 seconds after its other end was last heard of."""
    # By a duplicate of its descriptor, for what an event loop hands out need not be a whole socket.
    with socket.socket(fileno=os.dup(connection.get_extra_info("socket").fileno())) as same:
        same.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        same.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _IDLE)
        same.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _INTERVAL)
        same.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _PROBES)
        same.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNACKNOWLEDGED)
