"""A vLLM engine as self-play sees it: sample responses with what off-policy training needs, change weights in flight.

Owns the `AsyncLLM` of one process and its engine process. Used by a replica (`actors.rollout.replica`), by
`benchmarks.sync` and by tests directly. All methods run on the event loop that started it.

    generate ─────────────► AsyncLLM ──► engine process (scheduler, model; WeightExtension)
    update: stage ─────────────────────► a thread there receives and checks; sampling goes on
            pause ── apply ── label ── resume       requests stay, their caches recomputed or kept
    a death of the engine process ─────► every request fails at once with EngineDiedError
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from actors.engine.causes import Cause, one_line, take_cause
from actors.engine.errors import (
    EngineDiedError,
    EngineError,
    EngineOverdueError,
    EngineStuckError,
    EngineUnmadeError,
    RefusedRequestError,
    StagingError,
    TornWeightsError,
)
from actors.engine.fork_server import use_fork_server, warm_up
from actors.engine.leftovers import rings_of, socket_folder, sweep
from actors.engine.liveness import DeathWatch
from actors.engine.records import EngineStatistics, GenerateRequest, Generation, Response, UpdateTimes
from actors.engine.settings import EngineSettings
from actors.engine.statistics import Seams, StepCounter
from azr.game.types import Version, VersionSpan

logger = logging.getLogger(__name__)

#: What vLLM says of any process that ended before it was an engine, and an engine of a worker that did.
_ENDED, _WORKER_ENDED = "Engine core initialization failed", "WorkerProc initialization failed"

#: Why a response ends that is one: by an end or stop token, or cut off. vLLM's other reasons break it off.
_CUT_OFF = "length"
_WHOLE = {"stop", _CUT_OFF}
_ABORTED = "abort"

#: How long an engine with requests in it may say nothing. Every step says something, and the longest ones there are,
#: prefills on a CPU and kernels compiled at their first use, take minutes.
_SILENT_SECONDS = 300.0

#: How long the front end waits between two looks at weights being staged: short at first, since a small model's are
#: there at once, then longer.
_POLL_SECONDS = (0.001, 0.05)

#: How long an engine that is closed may take to leave by itself.
_LEAVE_SECONDS = 2.0


def label_of(version: Version) -> str:
    """A version as vLLM labels tokens with it."""
    return f"{version.lineage}.{version.step}"


def version_of(label: str) -> Version:
    """A version from vLLM's label; what a model folder brought counts as the very first."""
    if label == "default":
        return Version(0, 0)
    lineage, _, step = label.partition(".")
    return Version(int(lineage), int(step))


class Engine:
    """One engine. Made by `Engine.start`."""

    def __init__(self, settings: EngineSettings, llm: Any, counter: StepCounter, name: str) -> None:
        self.settings = settings
        self.name = name
        self.version = Version(0, 0)
        self.torn = ""
        """Why the engine stands still with broken weights; empty while it is whole."""
        self.stuck = ""
        """Why it must be replaced although its process lives; empty while it answers."""
        self.died = ""
        """Why the engine is gone; empty while it is there."""
        self.on_death: Callable[[str], None] = lambda _why: None
        """Called, from a thread, when the engine's process ends by itself."""
        self._llm = llm
        self._counter = counter
        self._seams = Seams()
        self._closed_at = 0.0
        self._busy_since = 0.0
        self._open = asyncio.Event()
        self._open.set()
        self._updating = asyncio.Lock()
        self._tasks: set[asyncio.Future[Any]] = set()
        self._loop = asyncio.get_running_loop()
        self._watch_steps()
        self.pids = _pids_of(llm)
        self.rings: list[str] = []
        """Names of its processes' shared memory."""
        self._sockets: set[Path] = set()
        self._watch = DeathWatch(self.pids, self._on_process_death)

    @classmethod
    async def start(cls, settings: EngineSettings, *, name: str = "engine", version: Version | None = None) -> Engine:
        """Start the engine's process and load the model into it; `version` says which weights the folder holds.

        Takes 10 to 30 s, most of it vLLM's imports. The caller bounds it by a deadline of its own. `EngineUnmadeError`
        says why there can be none, `EngineDiedError` that somebody ended its process meanwhile.
        """
        sockets = socket_folder()
        os.environ.update(settings.environment())
        await asyncio.to_thread(warm_up)
        before = set(sockets.iterdir())
        use_fork_server()
        from vllm.config import WeightTransferConfig
        from vllm.engine.arg_utils import AsyncEngineArgs
        from vllm.v1.engine.async_llm import AsyncLLM

        counter = StepCounter()
        arguments = settings.arguments()
        if settings.transport in ("nccl", "ipc"):
            arguments["weight_transfer_config"] = WeightTransferConfig(backend=settings.transport)
        take_cause(sockets)  # an earlier engine's
        try:
            # In a thread, because it blocks for seconds, during which others would wait for this event loop.
            llm = await asyncio.to_thread(
                AsyncLLM.from_engine_args, AsyncEngineArgs(**arguments), stat_loggers=[counter]
            )
        except Exception as error:
            raise _unmade(name, error, take_cause(sockets)) from error
        engine = cls(settings, llm, counter, name)
        engine._sockets = set(sockets.iterdir()) - before
        try:
            limit = settings.weights_config.apply_seconds
            guarded: list[int] = await engine._leg("guard", limit, engine._rpc("azr_guard"))
            engine.pids += [pid for pid in guarded if pid not in engine.pids]
            engine.rings = await asyncio.to_thread(rings_of, engine.pids)
            if version is not None:
                await engine._label(version)
        except BaseException:
            await engine.end()
            raise
        return engine

    # --- sampling -------------------------------------------------------------------------------------------------

    async def generate(self, request: GenerateRequest) -> Generation:
        """Sample the request's responses. Cancelling the call takes the request out of the engine."""
        if self.died:
            raise EngineDiedError(self.died)
        task = asyncio.ensure_future(self._generate(request))
        self._tasks.add(task)
        try:
            return await task
        except asyncio.CancelledError:
            task.cancel()
            if self.died:
                raise EngineDiedError(self.died) from None
            raise
        finally:
            self._tasks.discard(task)

    async def _generate(self, request: GenerateRequest) -> Generation:
        began = time.perf_counter()
        # While weights change nothing could run anyway; who comes then gets the new version's prefix cache.
        await self._open.wait()
        if not self._unfinished():
            self._busy_since = time.monotonic()  # what it was silent for until now, it was idle
        output: Any = None
        with _told_apart(self):
            async for each in self._llm.generate(self._prompt(request), self._sampling(request), request_id=request.id):
                output = each
        self._require_whole(request, output.outputs)
        responses = tuple(self._response(each) for each in output.outputs)
        self._counter.requests += 1
        return Generation(
            request=request.id, responses=responses, replica=self.name, seconds=time.perf_counter() - began
        )

    def _require_whole(self, request: GenerateRequest, outputs: Any) -> None:
        """Raise if a response was broken off: what vLLM gives then, a stump or nothing, looks like any other."""
        broken = {str(each.finish_reason) for each in outputs} - _WHOLE
        if _ABORTED in broken:
            # Nobody here aborts what is still waited for: the engine was told to end (SIGTERM, SIGINT). Until it has,
            # it would answer whoever asks again in the same way.
            self.kill()
            raise EngineDiedError(self.died or f"{self.name}: the engine ended with request {request.id} in it")
        if broken:
            raise EngineError(f"{self.name}: request {request.id} was broken off: {', '.join(sorted(broken))}")

    def _prompt(self, request: GenerateRequest) -> Any:
        # The salt keeps keys and values that older weights computed from being taken for this prompt's.
        return {"prompt_token_ids": list(request.prompt_ids), "cache_salt": label_of(self.version)}

    def _sampling(self, request: GenerateRequest) -> Any:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        try:
            return SamplingParams(
                n=request.samples,
                seed=_spread(request.seed),
                max_tokens=request.max_tokens,
                temperature=request.temperature,
                top_p=request.top_p,
                top_k=request.top_k,
                stop_token_ids=list(request.stop_ids),
                ignore_eos=request.ignore_end,
                logprobs=0,
                flat_logprobs=True,
                detokenize=False,
                output_kind=RequestOutputKind.FINAL_ONLY,
            )
        except ValueError as error:
            raise RefusedRequestError(f"request {request.id}: {error}") from error

    def _response(self, output: Any) -> Response:
        token_ids = np.asarray(output.token_ids, dtype=np.int32)
        logprobs = np.asarray(output.logprobs.logprobs if token_ids.size else (), dtype=np.float32)
        return Response(
            token_ids=token_ids,
            logprobs=logprobs,
            spans=tuple(
                VersionSpan(span.start, span.end, version_of(span.version)) for span in output.weight_versions or ()
            ),
            truncated=output.finish_reason == _CUT_OFF,
            text=self.text_of(output.token_ids),
        )

    def text_of(self, token_ids: Any) -> str:
        """Tokens as text, special ones left out; empty for a model without a tokenizer."""
        if not self.settings.has_tokenizer:
            return ""
        return str(self._llm.get_tokenizer().decode(list(token_ids), skip_special_tokens=True))

    @property
    def llm(self) -> Any:
        """vLLM's own front end, for its HTTP server."""
        return self._llm

    @property
    def tokenizer(self) -> Any:
        """The model's tokenizer, or None."""
        return self._llm.get_tokenizer() if self.settings.has_tokenizer else None

    # --- weights --------------------------------------------------------------------------------------------------

    async def update(self, version: Version, kind: str, info: dict[str, Any], *, checksum: str = "") -> UpdateTimes:
        """Receive weights by a transport, then put them in place between two steps; requests in flight go on.

        `StagingError`: the old weights are still in place. `TornWeightsError`: the engine stands still; another
        `update` with whole weights heals it, since it first takes back what the one that broke off had begun.
        """
        limits = self.settings.weights_config
        async with self._updating:
            clock = _Clock()
            staged = await self._stage(kind, info, checksum, limits.stage_seconds)
            clock.mark("stage")
            async with self._standing_still(version, clock):
                await self._leg("apply", limits.apply_seconds, self._rpc("azr_apply"))
                await self._label(version)
                clock.mark("apply")
            clock.mark("resume")
            loaded = await self._loaded() if limits.verify else ""
        self._counter.updates += 1
        return UpdateTimes(version=version, size=staged["bytes"], loaded=loaded, **clock.seconds)

    async def native_init(self, info: dict[str, Any]) -> None:
        """vLLM's own transfer: join the group of those that weights are sent to, and leave the one before it. vLLM's
        worker would only forget that one, and keep its communicator."""
        from vllm.distributed.weight_transfer.base import WeightTransferInitRequest

        limit = self.settings.weights_config.stage_seconds
        await self._exchange("release", limit, self._llm.shutdown_weight_transfer_engine())
        work = self._llm.init_weight_transfer_engine(WeightTransferInitRequest(init_info=info))
        await self._exchange("init", limit, work)

    async def native_update(self, version: Version, info: dict[str, Any]) -> UpdateTimes:
        """vLLM's own transfer: receive weights right into the model, the engine standing still meanwhile."""
        from vllm.distributed.weight_transfer.base import WeightTransferUpdateRequest

        limits = self.settings.weights_config
        async with self._updating:
            clock = _Clock()
            clock.mark("stage")
            async with self._standing_still(version, clock):
                await self._leg("start", limits.apply_seconds, self._llm.start_weight_update())
                work = self._llm.update_weights(WeightTransferUpdateRequest(update_info=info))
                await self._exchange("update", limits.apply_seconds, work)
                await self._leg("finish", limits.apply_seconds, self._llm.finish_weight_update(label_of(version)))
                self.version = version
                clock.mark("apply")
            clock.mark("resume")
            loaded = await self._loaded() if limits.verify else ""
        self._counter.updates += 1
        return UpdateTimes(version=version, loaded=loaded, **clock.seconds)

    @contextlib.asynccontextmanager
    async def _standing_still(self, version: Version, clock: _Clock) -> AsyncIterator[None]:
        """Between two steps, nothing being sampled. If the block fails, weights are torn and the engine stays so."""
        limits = self.settings.weights_config
        recompute = limits.kv_on_update == "recompute"
        self._open.clear()
        self._closed_at = time.monotonic()
        if not self._unfinished():
            self._seams.nothing_runs()
        try:
            # Not `pause_generation`: after the pause it sleeps for 20 ms, for the looks of the order of events.
            pause = self._llm.engine_core.pause_scheduler_async(mode="keep", clear_cache=recompute)
            await self._leg("pause", limits.pause_seconds, pause)
        except BaseException:
            if not self.torn:
                await self._resume()
            raise
        clock.mark("pause")
        try:
            yield
        except BaseException as error:
            self.torn = f"{self.name}: weights {label_of(version)} could not be put in place: {error}"
            if isinstance(error, asyncio.CancelledError):
                raise
            raise TornWeightsError(self.torn) from error
        self.torn = ""
        await self._resume()

    async def _resume(self) -> None:
        try:
            await self._leg("resume", self.settings.weights_config.pause_seconds, self._llm.resume_generation())
        except EngineDiedError:
            raise
        except EngineError as error:
            # It stands still with whole weights; another update, or another engine, gets it going.
            self.torn = str(error)
            raise TornWeightsError(self.torn) from error
        self._busy_since = time.monotonic()
        self._open.set()

    async def _stage(self, kind: str, info: dict[str, Any], checksum: str, limit: float) -> dict[str, Any]:
        ends = time.monotonic() + limit
        await self._answered("stage", "azr_stage", kind, info, checksum)
        states = await self._all_staged(ends)
        if states is None:
            raise StagingError(f"{self.name}: weights were not at hand within {limit:g} s")
        if errors := [state["error"] for state in states if state["error"]]:
            await self._answered("discard", "azr_discard")
            raise StagingError(f"{self.name}: weights did not arrive whole: {errors[0]}")
        return states[0]

    async def _all_staged(self, ends: float) -> list[dict[str, Any]] | None:
        """How staging ended; None if it has not by then."""
        wait, longest = _POLL_SECONDS
        while True:
            states: list[dict[str, Any]] = await self._answered("stage", "azr_staged")
            if all(state["done"] for state in states):
                return states
            if time.monotonic() + wait > ends:
                return None
            await asyncio.sleep(wait)
            wait = min(wait * 1.5, longest)

    async def _label(self, version: Version) -> None:
        work = self._llm.engine_core.set_weight_version_async(label_of(version))
        await self._leg("label", self.settings.weights_config.apply_seconds, work)
        self.version = version

    async def _loaded(self) -> str:
        """Checksum of the weights in place, of all workers together."""
        limit = self.settings.weights_config.apply_seconds
        each = await self._leg("verify", limit, self._rpc("azr_loaded"))
        return str(each[0]) if len(each) == 1 else hashlib.blake2b("".join(each).encode(), digest_size=16).hexdigest()

    async def _rpc(self, method: str, *arguments: Any) -> Any:
        return await self._llm.engine_core.collective_rpc_async(method, None, arguments, None)

    async def _leg(self, leg: str, limit: float, work: Any) -> Any:
        """One leg of an update, with its deadline; what goes wrong names replica and leg."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        try:
            async with asyncio.timeout(limit):
                return await task
        except TimeoutError:
            raise EngineOverdueError(f"{self.name}: {leg} took longer than {limit:g} s") from None
        except asyncio.CancelledError:
            if self.died:  # vLLM leaves calls to a dead engine unanswered
                raise EngineDiedError(self.died) from None
            raise
        except Exception as error:
            if self.died:
                raise EngineDiedError(self.died) from error
            raise EngineError(f"{self.name}: {leg} failed: {error}") from error
        finally:
            self._tasks.discard(task)

    async def _answered(self, leg: str, method: str, *arguments: Any) -> Any:
        """A leg in which the workers only look at something, between two steps as a pause comes: an engine that does
        not answer within the time of one hangs. The weights themselves may be on their way much longer."""
        try:
            return await self._leg(leg, self.settings.weights_config.pause_seconds, self._rpc(method, *arguments))
        except EngineOverdueError as error:
            self.stuck = f"{error}, and it does not answer"
            raise EngineStuckError(self.stuck) from error

    async def _exchange(self, leg: str, limit: float, work: Any) -> Any:
        """A leg in which the worker waits for others: one that is not back in time may never be, and hears nothing."""
        try:
            return await self._leg(leg, limit, work)
        except EngineOverdueError as error:
            self.stuck = f"{error}, and its worker still waits for others"
            raise EngineStuckError(self.stuck) from error

    # --- how it is doing --------------------------------------------------------------------------------------------

    def statistics(self) -> EngineStatistics:
        """Counts since the start, and the state of the last step."""
        return self._counter.snapshot()

    def seams(self) -> list[float]:
        """Seconds from the last token of old weights to the first of new ones, for each update since the last call."""
        return self._seams.drain()

    async def check(self) -> None:
        """Raise if the engine is gone, hangs, or stands still with torn weights."""
        if self.died:
            raise EngineDiedError(self.died)
        if self.stuck:
            raise EngineStuckError(self.stuck)
        if self.torn:
            raise TornWeightsError(self.torn)
        limits = self.settings.weights_config
        longest = 2 * limits.pause_seconds + 3 * limits.apply_seconds
        if not self._open.is_set() and time.monotonic() - self._closed_at > longest:
            raise EngineError(f"{self.name}: it has stood still for more than {longest:g} s")
        heard = max(self._counter.last, self._busy_since)
        if self._open.is_set() and self._unfinished() and time.monotonic() - heard > _SILENT_SECONDS:
            self.stuck = f"{self.name}: it has requests and said nothing for more than {_SILENT_SECONDS:g} s"
            raise EngineStuckError(self.stuck)

    def _unfinished(self) -> int:
        """Requests in the engine."""
        return int(self._llm.output_processor.get_num_unfinished_requests())

    async def end(self) -> None:
        """Close it, or free what it left if it is dead already."""
        if self.died:
            await asyncio.to_thread(self.bury)
        else:
            await self.close()

    async def close(self) -> None:
        """End the engine's process; requests in flight fail."""
        if self.died:
            return
        self.died = f"{self.name} was closed"
        self._watch.close()
        self._fail_all()
        await asyncio.to_thread(self._llm.shutdown, _LEAVE_SECONDS)
        await asyncio.to_thread(self._sweep)

    def bury(self) -> None:
        """Free what a dead engine left in this process. vLLM takes seconds over it: call it in a thread."""
        self._llm.shutdown(0.0)
        self._sweep()

    def _sweep(self) -> None:
        """Its own sockets and shared memory only: a successor may have some of its own by now."""
        for path in self._sockets:
            path.unlink(missing_ok=True)
        sweep(self.pids, self.rings)

    def _watch_steps(self) -> None:
        """Look at each step's outputs on their way through vLLM's front end, for the gaps that updates leave."""
        processor = self._llm.output_processor
        process = processor.process_outputs

        def observed(outputs: Any, timestamp: Any = None, stats: Any = None, weight_version: Any = None) -> Any:
            self._seams.observe(weight_version, timestamp, any(each.new_token_ids for each in outputs))
            return process(outputs, timestamp, stats, weight_version=weight_version)

        processor.process_outputs = observed

    def _on_process_death(self, pid: int) -> None:
        cause = take_cause(socket_folder(), self.pids)
        why = f"{self.name}: its engine process {pid} died" + (f" of {cause.error}" if cause else "")
        self.died = why
        with contextlib.suppress(RuntimeError):  # the loop is gone when everything ends at once
            self._loop.call_soon_threadsafe(self._fail_all)
        self.on_death(why)

    def kill(self) -> None:
        """End its processes at once, which is then noticed as any other death of theirs."""
        for pid in () if self.died else self.pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _fail_all(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()


def _unmade(name: str, error: Exception, cause: Cause | None) -> EngineError:
    """Why there is no engine: what its process ended of, or what vLLM said before there was one."""
    if cause:
        logger.error("%s: its engine process ended of\n%s", name, cause.traceback)
    else:
        logger.error("%s: vLLM made no engine", name, exc_info=error)
    said = cause.error if cause else one_line(error)
    # A process that is killed notes nothing, and one whose worker is killed knows no more than that.
    killed = _WORKER_ENDED in cause.error if cause else _ENDED in str(error)
    if killed:
        return EngineDiedError(f"{name}: its engine process died as it was made: {said}")
    return EngineUnmadeError(f"{name}: {said}")


@contextlib.contextmanager
def _told_apart(engine: Engine) -> Iterator[None]:
    """vLLM's errors as ours: gone, refused, or something else."""
    from vllm.exceptions import VLLMClientError
    from vllm.v1.engine.exceptions import EngineDeadError

    try:
        yield
    except EngineDeadError as error:
        # It says so before it ends, which takes seconds with cards; whoever asked again meanwhile would hear the same.
        engine.kill()
        raise EngineDiedError(engine.died or f"{engine.name}: the engine is dead") from error
    except (VLLMClientError, ValueError) as error:
        raise RefusedRequestError(f"{engine.name} refuses the request: {error}") from error


class _Clock:
    """Seconds by leg."""

    def __init__(self) -> None:
        self.seconds: dict[str, Any] = {}
        self._last = time.perf_counter()

    def mark(self, leg: str) -> None:
        """The leg that ends now."""
        now = time.perf_counter()
        self.seconds[leg] = now - self._last
        self._last = now


def _spread(seed: int) -> int:
    """vLLM gives sample i of a request the seed + i; hashed first, no two requests get neighbouring streams."""
    return int.from_bytes(hashlib.blake2b(str(seed).encode(), digest_size=8).digest(), "little") >> 2


def _pids_of(llm: Any) -> list[int]:
    return [int(process.pid) for process in llm.engine_core.resources.engine_manager.processes]
