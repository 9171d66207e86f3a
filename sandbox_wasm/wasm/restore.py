"""Putting a used guest back, bit for bit, to the snapshot it came from.

Owns one living instance of a snapshot and the pages to put back. The back end uses it with `instances: restored`.

    run ──► page faults since? ── no ──► the pages dirty are among those known ──► refill them
                │ yes                                                               ▲
                ▼                                                                   │
            PAGEMAP_SCAN ──► seen dirty often: known from now on ───────────────────┘
                        └──► seldom: dropped, the kernel shows the image again

A page can only become dirty through a page fault of this thread, so while their count stands still there is nothing to
look for. Memory is all there is to restore: the module has no instruction that changes a table, and its six mutable
globals are set by `begin` or put back by `run` (the build refuses a guest where this is not so). A canary compares
everything with an instance that never ran, every `canary_every` runs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from sandbox_wasm.protocol import IsolationError
from sandbox_wasm.wasm import pages
from sandbox_wasm.wasm.instance import Instance

#: Times a page must be seen dirty before it is put back after every run instead of being dropped.
KNOWN_AFTER = 2
#: Most pages put back after every run; further ones are dropped each time.
MAX_KNOWN = 1024
#: Globals that are inputs of the next run, and those that outlive it.
_OUTLIVING = ("stack",)


class CanaryError(IsolationError):
    """A restored guest differed from its snapshot: nothing it answered since the last check can be trusted."""


class Restored:
    """One instance, pristine before every use. `make` brings a new one to life."""

    def __init__(self, make: Callable[[], Instance], canary_every: int) -> None:
        self._make = make
        self._canary_every = canary_every
        self._scanner = pages.Scanner()
        self._reference = make()
        self._size = self._reference.size
        self._initial = self._reference.globals()
        self._seen: Counter[int] = Counter()
        self._known: set[int] = set()
        self._instance: Instance | None = None
        self._refill: pages.Refill | None = None
        self._faults = -1
        self.runs = 0
        self.canaries = 0

    @property
    def known(self) -> int:
        """How many pages are put back after every run."""
        return len(self._known)

    def take(self) -> Instance:
        """The pristine instance."""
        if self._instance is None:
            self._instance = self._make()
            self._set_refill()
            self._faults = -1
        return self._instance

    def give_back(self, *, stopped: bool) -> None:
        """Put the instance back to its snapshot, or drop it: after a trap, and when its memory grew."""
        instance = self._instance
        if instance is None:
            return
        self.runs += 1
        if stopped or instance.size != self._size or not self._restore(instance):
            self._drop()
            return
        if self.runs % self._canary_every == 0:
            self.check()

    def check(self) -> None:
        """Compare memory, and the globals that outlive a run, with an instance that never ran."""
        instance = self._instance
        if instance is None:
            return
        self.canaries += 1
        now = instance.globals()
        changed = [name for name in _OUTLIVING if now[name] != self._initial[name]]
        if not instance.same_memory(self._reference):
            changed.append("memory")
        if changed:
            self._drop()
            raise CanaryError(f"a restored guest differs from its snapshot in {', '.join(changed)}")

    def close(self) -> None:
        """Free both instances."""
        self._drop()
        self._reference.close()
        self._scanner.close()

    def _restore(self, instance: Instance) -> bool:
        if pages.faults() != self._faults:
            runs = self._scanner.private_runs(instance.base, self._size)
            if runs is None:
                return False
            self._sort(instance, runs)
            self._faults = pages.faults()
        return self._refill is None or self._refill.apply()

    def _sort(self, instance: Instance, runs: list[pages.Run]) -> None:
        """Decide for each dirty page that is not known yet: to be known, or dropped."""
        new = [page for first, end in runs for page in range(first, end) if page not in self._known]
        self._seen.update(new)
        often = [page for page in new if self._seen[page] >= KNOWN_AFTER][: MAX_KNOWN - len(self._known)]
        pages.forget(instance.base, pages.runs_of(set(new).difference(often)))
        if often:
            self._known.update(often)
            self._set_refill()

    def _set_refill(self) -> None:
        if self._refill is not None:
            self._refill.close()
            self._refill = None
        if self._instance is not None and self._known:
            self._refill = pages.Refill(pages.runs_of(self._known), self._instance.base, self._reference.base)

    def _drop(self) -> None:
        if self._instance is not None:
            self._instance.close()
            self._instance = None
        self._set_refill()
