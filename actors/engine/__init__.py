"""One vLLM engine with what self-play needs of it: behaviour log-probs, version spans, weights changed in flight.

Quick to import: vLLM and torch are loaded by `Engine.start` and in the engine's own process only.

    records.py          what goes in and comes out
    settings.py         vLLM's arguments and environment, from the configuration
    engine.py           Engine: generate, update, statistics
    errors.py           how an engine fails
    statistics.py       counts of its steps, and the gaps that updates leave
    extension.py        what runs inside vLLM's workers: new weights staged aside, then put in place
    cpu_generators.py   seeds of single requests on a CPU, mended there
    fork_server.py      engine processes forked from a server with vLLM imported
    preload.py          what that server imports
    forks.py            what is forked from it ends with its owner
    liveness.py         the death of an engine's process, noticed at once
    causes.py           what it died of
    leftovers.py        what it left on the machine, and its removal
    http.py             an engine behind OpenAI's API
"""

from actors.engine.records import EngineStatistics, GenerateRequest, Generation, Response

__all__ = ["EngineStatistics", "GenerateRequest", "Generation", "Response"]
