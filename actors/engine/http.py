"""An engine behind the HTTP API that everybody speaks: OpenAI's completions and chat completions, streaming included.

The API is vLLM's own server, given our engine; so what a person talks to is what players are answered by. Called by
`azr serve`. `/health` answers 200 while the engine lives, `/v1/models` names the model.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable
from typing import Any

from actors.engine.engine import Engine
from actors.engine.errors import EngineDiedError
from actors.engine.settings import EngineSettings
from azr.errors import AzrError

#: How often a server that is starting is asked whether it is well, and how long it may take to answer.
_ASK_SECONDS, _ANSWER_SECONDS = 0.1, 5.0


async def serve(
    settings: EngineSettings, *, name: str, host: str, port: int, ready: Callable[[str], None] = lambda _url: None
) -> None:
    """Serve until the process is told to stop (SIGINT or SIGTERM); `ready` is called with the address.

    Raises `EngineDiedError` where serving ends without that.
    """
    os.environ.update(settings.environment())
    from vllm.entrypoints.launchers.api_server.entry import build_and_serve
    from vllm.entrypoints.launchers.launcher import setup_server

    arguments = _arguments(settings, name, host, port)
    try:
        address, socket = setup_server(arguments, reuse_port=False)
    except OSError as error:
        raise AzrError(f"cannot listen on {_in_address(host)}:{port}: {error}", "choose another --port") from error
    engine = await Engine.start(settings, name=name)
    told_to_stop = _told_to_stop(engine.llm)
    # vLLM's call comes back when serving ends, so somebody else has to see that it has begun.
    announcing = asyncio.create_task(_announce(host, socket.getsockname()[1], ready))
    try:
        ended = await build_and_serve(engine.llm, address, socket, arguments)
        await ended
        if not told_to_stop.is_set():  # vLLM's server ends quietly within seconds of its engine
            raise EngineDiedError(engine.died or f"{name}: its server ended by itself")
    finally:
        announcing.cancel()
        await engine.end()
        socket.close()


def _told_to_stop(llm: Any) -> threading.Event:
    """Set once vLLM's server is told to stop: it shuts its engine down then, whose death would look like any other."""
    told, shutdown = threading.Event(), llm.shutdown

    def observed(*arguments: Any, **options: Any) -> None:
        told.set()
        shutdown(*arguments, **options)

    llm.shutdown = observed
    return told


async def _announce(host: str, port: int, ready: Callable[[str], None]) -> None:
    """Ask for its health until it is good, then say where it is."""
    while not await _is_well(host, port):  # noqa: ASYNC110 (vLLM has no event for it)
        await asyncio.sleep(_ASK_SECONDS)
    ready(f"http://{_in_address(host)}:{port}")


def _in_address(host: str) -> str:
    """A host as an address has it: the colons of IPv6 would be taken for the port's."""
    return f"[{host}]" if ":" in host else host


async def _is_well(host: str, port: int) -> bool:
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(_ANSWER_SECONDS):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(f"GET /health HTTP/1.0\r\nHost: {_in_address(host)}\r\n\r\n".encode())
                return b" 200 " in await reader.readline()
            finally:
                writer.close()
    return False


def _arguments(settings: EngineSettings, name: str, host: str, port: int) -> Any:
    """vLLM's own command-line arguments, with what concerns the front end set; the engine is made already."""
    from vllm.entrypoints.launchers.cli_args import make_arg_parser
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    words = ["--model", settings.model, "--served-model-name", name, "--host", host, "--port", str(port)]
    words += ["--uvicorn-log-level", "warning", "--disable-uvicorn-access-log"]
    arguments = make_arg_parser(FlexibleArgumentParser()).parse_args(words)
    arguments.model = settings.model
    return arguments
