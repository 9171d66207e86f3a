"""`azr serve` with a real engine: the endpoints people know answer, and nothing is left when it is stopped."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Coroutine, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from actors.engine import http
from actors.engine.errors import EngineDiedError, EngineUnmadeError
from azr.cli.main import EXIT_USAGE, main
from azr.cli.serve import client_name, model_folder
from azr.errors import AzrError
from azr.tiny import shipped
from tests.actors.tiny import save_engine_model

START_SECONDS = 280


class Served:
    """A running `azr serve`."""

    def __init__(self, model: Path) -> None:
        command = [sys.executable, "-m", "azr.cli.main", "serve", str(model), "--port", "0", "--name", "small"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self.process.stdout is not None
        self.said: list[str] = []
        for line in self.process.stdout:
            self.said.append(line)
            if "answers at" in line:
                self.url = line.split(" answers at ")[1].split("/v1")[0]
                return
        raise AssertionError(f"it ended: {self.said}")

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """The JSON answer."""
        request = urllib.request.Request(
            self.url + path, None if body is None else json.dumps(body).encode(), {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            content = answer.read()
        return json.loads(content) if content else None


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    served = Served(save_engine_model(tmp_path_factory.mktemp("serve") / "model"))
    yield served
    children = psutil.Process(served.process.pid).children(recursive=True)
    served.process.send_signal(signal.SIGINT)
    assert served.process.wait(60) in (0, 130)
    _, alive = psutil.wait_procs(children, timeout=10)
    assert not alive, "the engine ends with the server"


@pytest.mark.timeout(START_SECONDS)
class TestEndpoints:
    def test_health_is_good(self, served: Served) -> None:
        assert served.ask("/health") is None

    def test_the_model_is_named(self, served: Served) -> None:
        assert [model["id"] for model in served.ask("/v1/models")["data"]] == ["small"]

    def test_completions(self, served: Served) -> None:
        body = {"model": "small", "prompt": "def f(x):", "max_tokens": 5, "n": 2, "seed": 1, "ignore_eos": True}
        answer = served.ask("/v1/completions", body)
        assert len(answer["choices"]) == 2
        assert answer["usage"]["completion_tokens"] == 10
        assert served.ask("/v1/completions", body)["choices"][0]["text"] == answer["choices"][0]["text"]

    def test_chat_completions_use_the_models_own_template(self, served: Served) -> None:
        body = {"model": "small", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 4}
        answer = served.ask("/v1/chat/completions", body)
        assert answer["choices"][0]["message"]["role"] == "assistant"
        assert answer["usage"]["prompt_tokens"] == len("user: hello\n>")

    def test_a_model_of_another_name_is_not_found(self, served: Served) -> None:
        with pytest.raises(urllib.error.HTTPError) as caught:
            served.ask("/v1/completions", {"model": "other", "prompt": "x"})
        assert caught.value.code == 404


class TestWhatIsServed:
    def test_the_name_tiny_is_the_model_that_ships(self, tmp_path: Path) -> None:
        assert model_folder("tiny", tmp_path) == str(shipped.folder())

    def test_a_model_folder_is_served_as_it_is(self, tmp_path: Path) -> None:
        (tmp_path / "model").mkdir()
        (tmp_path / "model" / "config.json").write_text("{}")
        assert model_folder(str(tmp_path / "model"), tmp_path) == str(tmp_path / "model")

    @pytest.mark.parametrize(
        ("named", "name"), [(".", "below"), ("..", "folder"), ("tiny", "tiny"), ("Qwen/Qwen2.5-0.5B", "Qwen2.5-0.5B")]
    )
    def test_clients_call_it_by_its_own_name_also_where_it_is_served_from_within(
        self, named: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "folder" / "below").mkdir(parents=True)
        monkeypatch.chdir(tmp_path / "folder" / "below")
        assert client_name(named) == name

    def test_a_name_that_is_no_folder_is_left_to_the_engine(self, tmp_path: Path) -> None:
        assert model_folder("Qwen/Qwen2.5-0.5B", tmp_path) == "Qwen/Qwen2.5-0.5B"

    def test_a_folder_that_holds_neither_model_nor_checkpoint_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        with pytest.raises(AzrError, match="no complete checkpoint"):
            model_folder(str(tmp_path / "empty"), tmp_path)

    @pytest.mark.parametrize(
        ("named", "why"), [("./nosuch", "does not exist"), ("a/b/c", "does not exist"), ("file", "is no folder")]
    )
    def test_what_can_be_neither_folder_nor_name_is_refused_before_an_engine_is_made(
        self, named: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        Path("file").touch()
        with pytest.raises(AzrError, match=f"{named} {why}") as refused:
            model_folder(named, tmp_path)
        assert "hub name" in refused.value.mend

    @pytest.mark.parametrize(
        "words", [["--port", "99999"], ["--port", "-1"], ["--tensor-parallel", "0"], ["--max-model-len", "-5"]]
    )
    def test_numbers_that_cannot_be_are_refused_by_the_name_of_their_option(
        self, words: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["serve", "tiny", *words]) == EXIT_USAGE
        assert f"{words[0]} {words[1]} is out of range" in capsys.readouterr().err

    def test_an_engine_that_cannot_be_made_is_told_without_a_traceback(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        async def fails(*_arguments: Any, **_options: Any) -> None:
            raise EngineUnmadeError("ValueError: no room for its cache")

        monkeypatch.setattr("actors.engine.http.serve", fails)
        assert main(["serve", "tiny"]) == 1
        assert "azr: error: tiny cannot be served: ValueError: no room for its cache" in capsys.readouterr().err


class TestHowServingEnds:
    """vLLM's server comes back in the same way whether it was told to stop or its engine died."""

    @staticmethod
    def served(monkeypatch: pytest.MonkeyPatch, *, told: bool, died: str) -> list[str]:
        """What was done with the engine of a server that ended so."""
        done: list[str] = []

        async def end() -> None:
            done.append("ended")

        engine = SimpleNamespace(llm=SimpleNamespace(shutdown=lambda **_: done.append("shut down")), died="", end=end)

        async def start(_settings: Any, *, name: str) -> Any:
            return engine

        async def build_and_serve(llm: Any, *_: Any) -> Coroutine[Any, Any, None]:
            if told:
                llm.shutdown(timeout=0)
            engine.died = died
            return asyncio.sleep(0)

        entry = SimpleNamespace(build_and_serve=build_and_serve)
        launcher = SimpleNamespace(setup_server=lambda *_, **__: ("", socket.socket()))
        monkeypatch.setitem(sys.modules, "vllm.entrypoints.launchers.api_server.entry", entry)
        monkeypatch.setitem(sys.modules, "vllm.entrypoints.launchers.launcher", launcher)
        monkeypatch.setattr(http, "Engine", SimpleNamespace(start=start))
        monkeypatch.setattr(http, "_arguments", lambda *_: None)
        settings: Any = SimpleNamespace(environment=dict)
        asyncio.run(http.serve(settings, name="small", host="127.0.0.1", port=0))
        return done

    def test_told_to_stop_it_ends_well_although_its_engine_ends_first(self, monkeypatch: pytest.MonkeyPatch) -> None:
        done = self.served(monkeypatch, told=True, died="small: its engine process 7 died")
        assert done == ["shut down", "ended"]

    @pytest.mark.parametrize(
        ("died", "why"),
        [("small: its engine process 7 died", "engine process 7 died"), ("", "small: its server ended by itself")],
    )
    def test_by_itself_it_says_why(self, died: str, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(EngineDiedError, match=why):
            self.served(monkeypatch, told=False, died=died)


async def test_an_address_of_ipv6_stands_in_brackets(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bytes] = []

    async def connect(host: str, port: int) -> tuple[asyncio.StreamReader, Any]:
        assert (host, port) == ("::1", 8000)
        reader = asyncio.StreamReader()
        reader.feed_data(b"HTTP/1.0 200 OK\r\n")
        return reader, SimpleNamespace(write=asked.append, close=lambda: None)

    monkeypatch.setattr(asyncio, "open_connection", connect)
    told: list[str] = []
    await http._announce("::1", 8000, told.append)
    assert told == ["http://[::1]:8000"]
    assert b"\r\nHost: [::1]\r\n" in asked[0]
