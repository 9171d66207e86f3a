"""wasmtime, set up for the guest: which limits exist, and the snapshots ready to be instantiated.

Owns the one wasmtime engine of a process and the modules loaded into it. `backend` holds one; `instance` runs on it.

    Engine ── snapshot(0) ──► cache ──► native code mapped copy-on-write ──► InstancePre
       ▲
       └── Watchdog: raises the epoch when a run outlives the wall clock, which ends it (`retry`)

Cranelift only, no imports, on-demand allocation: the configuration the known escapes of other ones do not touch.
"""

from __future__ import annotations

import threading
import time
from importlib.metadata import version
from pathlib import Path

import wasmtime
from wasmtime import Config, Linker, Module

from sandbox_wasm.wasm import cache, guest

#: Native stack of a guest. wasmtime's own half megabyte does not hold 200 nested parentheses; above 2 MiB it would want
#: another setting raised first and aborts the process otherwise.
NATIVE_STACK_BYTES = 2 << 20
#: How often the watchdog looks, hence by how much a run may outlive its wall clock.
WATCH_SECONDS = 0.02
#: Changed whenever the configuration below changes what compiled code looks like.
CONFIGURATION = "1: fuel, epochs, cranelift speed"


class Engine:
    """wasmtime with fuel and epochs on, and the snapshots it has loaded."""

    def __init__(self, folder: Path | None = None) -> None:
        config = Config()
        config.strategy = "cranelift"
        config.cranelift_opt_level = "speed"
        config.consume_fuel = True
        config.epoch_interruption = True
        config.max_wasm_stack = NATIVE_STACK_BYTES
        self.native = wasmtime.Engine(config)
        self.watchdog = Watchdog(self.native)
        self._cache = cache.CodeCache(folder)
        self._linker = Linker(self.native)
        self._ready: dict[int, wasmtime.InstancePre] = {}

    def snapshot(self, number: int) -> wasmtime.InstancePre:
        """A snapshot ready for instances."""
        if number not in self._ready:
            self._ready[number] = self._load(number)
        return self._ready[number]

    def _load(self, number: int) -> wasmtime.InstancePre:
        name = cache.key(guest.digest(), str(number), version("wasmtime"), cache.processor(), CONFIGURATION)
        with self._cache.open(name, lambda: bytes(Module(self.native, guest.module(number)).serialize())) as code:
            module = Module.deserialize_file(self.native, f"/proc/self/fd/{code.fileno()}")
        if module.imports:
            raise guest.GuestDamagedError("the guest asks its host for something; it must not")
        return self._linker.instantiate_pre(module)


class Watchdog:
    """A thread that ends a run by raising the engine's epoch once its wall-clock deadline has passed."""

    def __init__(self, engine: wasmtime.Engine) -> None:
        self._engine = engine
        self._deadline = float("inf")
        self._armed = threading.Event()
        # Between looking at the deadline and raising the epoch no other run may begin: it would be ended in its place.
        self._turn = threading.Lock()
        self._thread: threading.Thread | None = None

    def arm(self, seconds: float) -> None:
        """From now on, end what runs after so many seconds."""
        with self._turn:
            self._deadline = time.monotonic() + seconds
        if self._thread is None:  # started late: a thread does not survive the fork that makes a worker
            self._thread = threading.Thread(target=self._watch, name="azr-sandbox-watchdog", daemon=True)
            self._thread.start()
        self._armed.set()

    def disarm(self) -> None:
        """Nothing runs."""
        with self._turn:
            self._deadline = float("inf")

    def _watch(self) -> None:
        idle_looks = 0
        while True:
            self._armed.wait()
            time.sleep(WATCH_SECONDS)
            with self._turn:
                if time.monotonic() > self._deadline:
                    self._engine.increment_epoch()
            idle_looks = idle_looks + 1 if self._deadline == float("inf") else 0
            if idle_looks > 50:  # sleep for good until the next job
                idle_looks = 0
                self._armed.clear()
                if self._deadline != float("inf"):
                    self._armed.set()
