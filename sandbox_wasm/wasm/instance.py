"""One living guest: an instance of a snapshot, fed one request at a time.

Owns the unchecked calls into wasmtime and the bounds checks on everything the guest says, for after a program has run
the guest is the program's. `backend` and `restore` make instances; nothing else calls wasmtime's C interface.

    request ─ reserve ─► copied in ─ run ─► length << 32 | address ─ checked ─► copied out

wasmtime's own Python calls take 56 µs each for their conversions; the unchecked ones used here take under 2.
"""

from __future__ import annotations

import ctypes
from ctypes import byref

import wasmtime
from wasmtime import TrapCode
from wasmtime import _ffi as ffi

#: Fuel of the calls around a run (`begin`, `reserve`), which no program can make longer.
HANDLING_FUEL = 10_000_000

_libc = ctypes.CDLL(None)
_libc.memcmp.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
_NO_FINALIZER = ctypes.cast(0, ctypes.CFUNCTYPE(None, ctypes.c_void_p))
_MUTABLE_GLOBALS = (b"stack", b"cause", b"exit_code", b"wall", b"monotonic", b"random")


class GuestStoppedError(Exception):
    """The guest trapped or answered nonsense; the instance must be dropped."""

    def __init__(
        self, code: TrapCode | None, message: str, cause: int = 0, exit_code: int = 0, memory: int = 0
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.cause = cause
        self.exit_code = exit_code
        self.memory = memory


class NonsenseError(GuestStoppedError):
    """The guest answered, and no answer of an honest one is like it."""

    def __init__(self, message: str) -> None:
        super().__init__(None, message)


class TooLongError(NonsenseError):
    """The guest answered at greater length than is taken; an honest one may, where a text is made for it."""


class Instance:
    """A snapshot brought to life. Not to be used after `GuestStoppedError`, except to close it."""

    def __init__(self, engine: wasmtime.Engine, snapshot: wasmtime.InstancePre) -> None:
        self._store = ffi.wasmtime_store_new(engine.ptr(), None, _NO_FINALIZER)
        self._context = ffi.wasmtime_store_context(self._store)
        self._trap = ctypes.POINTER(ffi.wasm_trap_t)()
        self._values = (ffi.wasmtime_val_raw_t * 2)()
        try:
            self._come_alive(snapshot)
        except BaseException:
            self.close()
            raise

    def _come_alive(self, snapshot: wasmtime.InstancePre) -> None:
        ffi.wasmtime_context_set_fuel(self._context, HANDLING_FUEL)
        instance = ffi.wasmtime_instance_t()
        self._check(
            ffi.wasmtime_instance_pre_instantiate(snapshot.ptr(), self._context, byref(instance), byref(self._trap))
        )
        self._instance = instance
        self._memory = self._export(b"memory").of.memory
        self._begin, self._reserve, self._run = (self._export(name).of.func for name in (b"begin", b"reserve", b"run"))
        self.base: int = (
            ctypes.cast(ffi.wasmtime_memory_data(self._context, byref(self._memory)), ctypes.c_void_p).value or 0
        )

    def _export(self, name: bytes) -> ffi.wasmtime_extern_t:
        found = ffi.wasmtime_extern_t()
        if not ffi.wasmtime_instance_export_get(self._context, byref(self._instance), name, len(name), byref(found)):
            raise GuestStoppedError(None, f"the guest does not export {name.decode()}")
        return found

    @property
    def size(self) -> int:
        """Bytes of linear memory now."""
        return int(ffi.wasmtime_memory_data_size(self._context, byref(self._memory)))

    def same_memory(self, other: Instance) -> bool:
        """Whether both memories hold the same bytes."""
        return self.size == other.size and _libc.memcmp(self.base, other.base, self.size) == 0

    def fuel(self) -> int:
        """Fuel that is left."""
        left = ctypes.c_uint64()
        ffi.wasmtime_context_get_fuel(self._context, byref(left))
        return left.value

    def ask(
        self, request: bytes, fuel: int, memory_bytes: int, answer_bytes: int, clock_nanoseconds: int, seed: int
    ) -> tuple[bytes, int]:
        """The guest's answer to a request, at most so long, and the fuel it took. The engine's next epoch ends it."""
        ffi.wasmtime_store_limiter(self._store, memory_bytes, -1, 1, 1, 1)
        ffi.wasmtime_context_set_epoch_deadline(self._context, 1)
        ffi.wasmtime_context_set_fuel(self._context, HANDLING_FUEL)
        values = self._values
        values[0].i64 = clock_nanoseconds
        values[1].i64 = seed
        self._call(self._begin)
        values[0].i32 = len(request)
        self._call(self._reserve)
        address = values[0].i32 & 0xFFFFFFFF
        if address + len(request) > self.size:
            raise GuestStoppedError(None, "the guest's request buffer lies outside its memory")
        ctypes.memmove(self.base + address, request, len(request))
        ffi.wasmtime_context_set_fuel(self._context, fuel)
        values[0].i32 = address
        values[1].i32 = len(request)
        self._call(self._run)
        packed = values[0].i64
        address, length = packed & 0xFFFFFFFF, (packed >> 32) & 0xFFFFFFFF
        if length > answer_bytes:
            raise TooLongError(f"the guest's answer of {length} bytes is longer than an honest one can be")
        if address + length > self.size:
            raise NonsenseError("the guest's answer lies outside its memory")
        return ctypes.string_at(self.base + address, length), fuel - self.fuel()

    def _call(self, function: ffi.wasmtime_func) -> None:
        self._check(
            ffi.wasmtime_func_call_unchecked(self._context, byref(function), self._values, 2, byref(self._trap))
        )

    def _check(self, error: ctypes._Pointer[ffi.wasmtime_error_t]) -> None:
        if error:
            raise GuestStoppedError(None, str(wasmtime.WasmtimeError._from_ptr(error)))
        if self._trap:
            trap = wasmtime.Trap._from_ptr(self._trap)
            self._trap = ctypes.POINTER(ffi.wasm_trap_t)()
            words = str(trap).strip().splitlines()
            raise GuestStoppedError(
                trap.trap_code,
                words[-1].strip() if words else "trap",
                self._read(b"cause"),
                self._read(b"exit_code"),
                self.size,
            )

    def _read(self, name: bytes) -> int:
        value = ffi.wasmtime_val_t()
        handle = self._export(name).of.global_
        ffi.wasmtime_global_get(self._context, byref(handle), byref(value))
        return int(value.of.i64 if value.kind == 1 else value.of.i32)

    def globals(self) -> dict[str, int]:
        """All mutable globals there are, by name (the build refuses a guest that has others)."""
        return {name.decode(): self._read(name) for name in _MUTABLE_GLOBALS}

    def table(self) -> list[int]:
        """What each place of the function table holds: where in the instance the function lies, or -1 for none."""
        table = self._export(b"table").of.table
        value = ffi.wasmtime_val_t()
        held = []
        for place in range(ffi.wasmtime_table_size(self._context, byref(table))):
            if not ffi.wasmtime_table_get(self._context, byref(table), place, byref(value)):
                raise GuestStoppedError(None, f"the table has no place {place}")
            held.append(int(getattr(value.of.funcref, "__private") or 0))  # written out, a class would mangle it
        first = min((address for address in held if address), default=0)
        return [address - first if address else -1 for address in held]

    def close(self) -> None:
        """Free the instance and its memory."""
        if self._store is not None:
            ffi.wasmtime_store_delete(self._store)
            self._store = None
