"""One vLLM engine with what self-play needs of it: behaviour log-probs, version spans, weights changed in flight.

Quick to import: vLLM and torch are loaded by `Engine.start` and in the engine's own process only.

    records.py      what goes in and comes out
    settings.py     vLLM's arguments and environment, from the configuration
    engine.py       Engine: generate, update, statistics
    extension.py    what runs inside vLLM's workers: new weights staged aside, then put in place
    liveness.py     the death of an engine's process, noticed at once
"""

from actors.engine.records import EngineStatistics, GenerateRequest, Generation, Response

__all__ = ["EngineStatistics", "GenerateRequest", "Generation", "Response"]
