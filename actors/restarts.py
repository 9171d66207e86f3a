"""What becomes of an actor that cannot be constructed.

At its first start it raises, and whoever started it hears why. Once Ray has it made again nobody is there to hear, and
Ray starts no actor anew whose constructor raised: there it logs why, and its process ends, which Ray starts anew.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Iterator

#: Before the process ends. Ray starts the next at once, and what was in the way may need a moment.
_PAUSE_SECONDS = 2.0


def is_restarted() -> bool:
    """Whether this is an actor that Ray had to construct again."""
    import ray

    if not ray.is_initialized():
        return False
    context = ray.get_runtime_context()
    return context.get_actor_id() is not None and bool(context.was_current_actor_reconstructed)


@contextlib.contextmanager
def tried_again(logger: logging.Logger) -> Iterator[None]:
    """Around the body of a constructor, once its actor's log is open: an actor that was made again, and whose
    constructor fails, is started anew, as one that dies later is."""
    try:
        yield
    except Exception as error:
        if not is_restarted():
            raise
        logger.critical("leaves, for it could not be made again: %r", error)
        logging.shutdown()
        time.sleep(_PAUSE_SECONDS)
        os._exit(1)
