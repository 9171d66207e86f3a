"""The world a program sees: clocks, sleep, randomness, streams and recursion, all of them inputs of the run.

`install()` is called once in an interpreter given to the guest for good (before the snapshot in WebAssembly, in the
zygote natively); `reset()` before each program. Time is virtual: it starts at the job's clock, each look at it takes a
microsecond, and sleeping moves it on at once. So no program waits, no two runs differ by chance, and the gate sees a
dependence on time or on randomness by running again with other inputs.
"""

from __future__ import annotations

import datetime as _datetime
import io
import os
import random
import sys
import time
import warnings
from typing import Any

#: What one look at a clock takes, in nanoseconds.
_TICK = 1_000

_setrecursionlimit = sys.setrecursionlimit
_int, _isinstance, _issubclass = int, isinstance, issubclass

#: Nanoseconds since the epoch, nanoseconds since the interpreter's start, and the highest recursion limit allowed.
_now = 1_700_000_000 * 10**9
_start = _now
_recursion_ceiling = 1000
_entropy = random.Random(0)
_entropy_seed: int | None = 0
_seed_entropy = _entropy.seed
_seed_random = random.seed

#: What `random` is seeded with and has not drawn from yet; None once a program may have.
_fresh_seed: int | None = None


def reset(random_seed: int, clock: float, recursion: int) -> None:
    """Set the inputs of the next program's world."""
    global _now, _start, _recursion_ceiling, _entropy_seed, _fresh_seed  # noqa: PLW0603  one world an interpreter, by nature
    _now = _start = _int(clock * 1e6) * 1000
    if random_seed != _fresh_seed:
        _seed_random(random_seed)
    _fresh_seed = None
    _entropy_seed = random_seed + 1
    _recursion_ceiling = recursion


def install() -> None:
    """Put the virtual world in place of the real one. The interpreter is the guest's from here on."""
    warnings.simplefilter("ignore")
    _install_clocks()
    _install_dates()
    _install_entropy()
    _install_streams()
    sys.setrecursionlimit = _set_recursion_limit
    sys.dont_write_bytecode = True
    seed_ahead()


def seed_ahead() -> None:
    """Seed `random` with the commonest seed before it is asked for: seeding costs as much as a small program."""
    global _fresh_seed  # noqa: PLW0603
    _seed_random(0)
    _fresh_seed = 0


def _look() -> int:
    global _now  # noqa: PLW0603
    _now += _TICK
    return _now


def _install_clocks() -> None:
    real_gmtime, real_strftime, real_asctime = time.gmtime, time.strftime, time.asctime

    def sleep(seconds: float) -> None:
        global _now  # noqa: PLW0603
        if seconds < 0:
            raise ValueError("sleep length must be non-negative")
        _now += _int(seconds * 1e9)

    def gmtime(seconds: float | None = None) -> time.struct_time:
        return real_gmtime(_look() // 10**9 if seconds is None else seconds)

    def strftime(layout: str, moment: Any = None) -> str:
        return real_strftime(layout, gmtime() if moment is None else moment)

    def asctime(moment: Any = None) -> str:
        return real_asctime(gmtime() if moment is None else moment)

    def ctime(seconds: float | None = None) -> str:
        return real_asctime(gmtime(seconds))

    replaced: dict[str, Any] = {
        "sleep": sleep,
        "gmtime": gmtime,
        "localtime": gmtime,  # the guest lives in UTC
        "strftime": strftime,
        "asctime": asctime,
        "ctime": ctime,
        "time": lambda: _look() / 1e9,
        "time_ns": _look,
        "clock_gettime": lambda _clock: _look() / 1e9,
        "clock_gettime_ns": lambda _clock: _look(),
    }
    for name in ("monotonic", "perf_counter", "process_time", "thread_time"):
        replaced[name] = lambda: (_look() - _start) / 1e9
        replaced[name + "_ns"] = lambda: _look() - _start
    for name, function in replaced.items():
        if hasattr(time, name):
            setattr(time, name, function)


def _install_dates() -> None:
    """`datetime.now`, `utcnow`, `today` read C clocks, so the classes themselves must give way to subclasses."""
    real_date: Any = _datetime.date
    real_datetime: Any = _datetime.datetime
    is_instance, is_subclass = type.__instancecheck__, type.__subclasscheck__

    class DateKind(type):
        """A `datetime` counts as a `date`, as it does of the real classes; a program's own subclasses are like any."""

        def __instancecheck__(cls, instance: Any) -> bool:
            return _isinstance(instance, real_date) if cls is date else is_instance(cls, instance)

        def __subclasscheck__(cls, kind: type) -> bool:
            return _issubclass(kind, real_date) if cls is date else is_subclass(cls, kind)

    class date(real_date, metaclass=DateKind):  # type: ignore[misc]  # noqa: N801  takes the place of datetime.date
        @classmethod
        def today(cls) -> Any:
            moment = time.gmtime()
            return cls(moment.tm_year, moment.tm_mon, moment.tm_mday)

        def __repr__(self) -> str:
            return _named_in_full(date, super().__repr__(), self)

    class DatetimeKind(type):
        def __instancecheck__(cls, instance: Any) -> bool:
            return _isinstance(instance, real_datetime) if cls is datetime else is_instance(cls, instance)

        def __subclasscheck__(cls, kind: type) -> bool:
            return _issubclass(kind, real_datetime) if cls is datetime else is_subclass(cls, kind)

    class datetime(real_datetime, metaclass=DatetimeKind):  # type: ignore[misc]  # noqa: N801  takes the place of datetime.datetime
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return cls.fromtimestamp(_look() / 1e9, tz)

        @classmethod
        def utcnow(cls) -> Any:
            return cls.fromtimestamp(_look() / 1e9, _datetime.UTC).replace(tzinfo=None)

        @classmethod
        def today(cls) -> Any:
            return cls.now()

        def date(self) -> Any:
            day = super().date()  # of the real class, which is no longer the one that programs know
            return date(day.year, day.month, day.day)

        def __repr__(self) -> str:
            return _named_in_full(datetime, super().__repr__(), self)

    for name, kind in (("date", date), ("datetime", datetime)):
        kind.__module__ = "datetime"
        kind.__qualname__ = name
        setattr(_datetime, name, kind)
    date.min, date.max = date(1, 1, 1), date(9999, 12, 31)
    datetime.min, datetime.max = datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999999)


def _named_in_full(kind: type, text: str, value: Any) -> str:
    """C writes the module before its own classes only; it must stand before ours too, and not before a program's."""
    return "datetime." + text if type(value) is kind else text


def _install_entropy() -> None:
    def urandom(size: int) -> bytes:
        global _entropy_seed  # noqa: PLW0603
        if _entropy_seed is not None:  # seeded when first asked for, which is seldom
            _seed_entropy(_entropy_seed)
            _entropy_seed = None
        return _entropy.randbytes(size)

    def getrandom(size: int, flags: int = 0) -> bytes:  # noqa: ARG001  flags choose the source; there is one
        return urandom(size)

    def new(kind: Any, *_arguments: Any, **_named: Any) -> Any:
        return make(kind, 0)  # type: ignore[call-arg]  # without a seed it would be asked of the operating system; __init__ seeds in any case

    def seed(self: random.Random, a: Any = None, version: int = 2) -> None:
        real_seed(self, int.from_bytes(urandom(16), "little") if a is None else a, version)

    make, real_seed = random.Random.__new__, random.Random.seed
    random.Random.__new__ = new  # type: ignore[method-assign,assignment]
    random.Random.seed = seed  # type: ignore[method-assign]
    random.seed = random._inst.seed
    os.urandom = urandom
    random._urandom = urandom  # type: ignore[attr-defined]
    if hasattr(os, "getrandom"):
        os.getrandom = getrandom


class _Nowhere(io.RawIOBase):
    """Takes all that is written and keeps nothing."""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return len(data)


def _install_streams() -> None:
    sys.stdout = sys.__stdout__ = io.TextIOWrapper(_Nowhere(), encoding="utf-8", errors="replace")  # type: ignore[misc,arg-type]
    sys.stderr = sys.__stderr__ = io.TextIOWrapper(_Nowhere(), encoding="utf-8", errors="replace")  # type: ignore[misc,arg-type]
    sys.stdin = sys.__stdin__ = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")  # type: ignore[misc]


def _set_recursion_limit(limit: int) -> None:
    """Programs may lower the limit; asking for more is passed over: depth ends in RecursionError, not in a crash."""
    _setrecursionlimit(limit if limit < _recursion_ceiling else _recursion_ceiling)


def limit_recursion() -> None:
    """Allow the program `recursion` frames on top of the caller's."""
    depth = 0
    frame: Any = sys._getframe()
    while frame is not None:
        depth += 1
        frame = frame.f_back
    _setrecursionlimit(depth + _recursion_ceiling)
