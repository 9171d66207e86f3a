"""Tables and findings for a reader who may leave before the end: `azr doctor | head -1`."""

from __future__ import annotations

from rich.console import Console


class PipedConsole(Console):
    """A console that tells of a broken pipe as `print` does. Rich's own ends the process with 1, as if something were
    broken; what this raises is met where every command's ending is (`azr.cli.main`)."""

    def on_broken_pipe(self) -> None:
        """The reader has seen enough."""
        raise BrokenPipeError
