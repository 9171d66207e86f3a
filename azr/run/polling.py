"""Questions asked again and again in threads of their own, so that a part that is being restarted holds nobody up.

Poll(ask, every 2 s) ── answer ──► `heard` (in the thread) · `latest`, `at` (read by the driver)
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from azr.errors import AzrError

Answer = TypeVar("Answer")


class Poll(Generic[Answer]):
    """One question."""

    def __init__(
        self,
        name: str,
        ask: Callable[[], Answer],
        *,
        seconds: float,
        heard: Callable[[Answer], None] = lambda _: None,
    ) -> None:
        self.name = name
        self.latest: Answer | None = None
        self.at = time.monotonic()
        """When the last answer came; before the first, when asking began."""
        self.error = ""
        """What went wrong last, if nothing was heard since."""
        self._ask, self._seconds, self._heard = ask, seconds, heard
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"poll-{name}", daemon=True)

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def close(self, wait_seconds: float = 5.0) -> None:
        """Ask no more; a question under way is waited for no longer than this."""
        self._over.set()
        self._thread.join(wait_seconds)

    def _run(self) -> None:
        while True:
            try:
                answer = self._ask()
                self._heard(answer)
            except Exception as error:
                self.error = error.what if isinstance(error, AzrError) else f"{type(error).__name__}: {error}"
            else:
                self.latest, self.at, self.error = answer, time.monotonic(), ""
            if self._over.wait(self._seconds):
                return
