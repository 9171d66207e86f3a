"""An engine behind the HTTP API that everybody speaks: OpenAI's completions and chat completions, streaming included.

The API is vLLM's own server, given our engine; so what a person talks to is what players are answered by. Called by
`azr serve`. `/health` answers 200 while the engine lives, `/v1/models` names the model.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from actors.engine.engine import Engine
from actors.engine.settings import EngineSettings
from azr.errors import AzrError


async def serve(
    settings: EngineSettings, *, name: str, host: str, port: int, ready: Callable[[str], None] = lambda _url: None
) -> None:
    """Serve until the process is told to stop (SIGINT or SIGTERM); `ready` is called with the address."""
    os.environ.update(settings.environment())
    from vllm.entrypoints.launchers.api_server.entry import build_and_serve
    from vllm.entrypoints.launchers.launcher import setup_server

    arguments = _arguments(settings, name, host, port)
    try:
        address, socket = setup_server(arguments, reuse_port=False)
    except OSError as error:
        raise AzrError(f"cannot listen on {host}:{port}: {error}", "choose another --port") from error
    engine = await Engine.start(settings, name=name)
    try:
        ended = await build_and_serve(engine.llm, address, socket, arguments)
        ready(f"http://{host}:{socket.getsockname()[1]}")
        await ended
    finally:
        await engine.close()
        socket.close()


def _arguments(settings: EngineSettings, name: str, host: str, port: int) -> Any:
    """vLLM's own command-line arguments, with what concerns the front end set; the engine is made already."""
    from vllm.entrypoints.launchers.cli_args import make_arg_parser
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    words = ["--model", settings.model, "--served-model-name", name, "--host", host, "--port", str(port)]
    words += ["--uvicorn-log-level", "warning", "--disable-uvicorn-access-log"]
    arguments = make_arg_parser(FlexibleArgumentParser()).parse_args(words)
    arguments.model = settings.model
    return arguments
