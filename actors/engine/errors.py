"""How an engine fails. Whoever asks it tells these apart: try elsewhere, never try again, or replace the engine."""

from __future__ import annotations


class EngineError(RuntimeError):
    """Something went wrong in an engine; the text names it."""


class EngineDiedError(EngineError):
    """The engine's process is gone, and with it all that it was sampling. Another engine can answer."""


class EngineUnmadeError(EngineError):
    """An engine could not be made, and the text says what of: settings, model or machine. Trying again is of little
    use."""


class NoEngineError(EngineError):
    """There is no engine just now; the request has reached none. Another replica can answer."""


class RefusedRequestError(EngineError):
    """The request can never be answered (too long, no tokens, …): sending it again, or elsewhere, is of no use."""


class StagingError(EngineError):
    """New weights did not arrive whole. The old ones are in place and serve on."""


class EngineOverdueError(EngineError):
    """The engine did not answer within the time a question may take."""


class EngineStuckError(EngineError):
    """The engine lives and does not answer: it hangs, or its worker has not come back from an exchange with others. It
    can be asked nothing more: replace it."""


class TornWeightsError(EngineError):
    """Putting new weights in place broke off. The engine stands still until whole weights are put in, or replaced."""
