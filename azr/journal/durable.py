"""An experience whose every acknowledged event outlasts its process.

Called by the experience service at its start, and at times to keep the journal short.

      open_experience:  journal ── record by record ──► rebuild (an empty journal begins with a snapshot of nothing,
      every call:       events ── append, sync ──► apply ──► answer   so that its first record always tells the schema)
                        (one record: a crash keeps all of a decision or nothing)
      shorten:          snapshot ── compact
      restore:          a checkpoint's snapshot ── compact ──► rebuild
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from azr.journal.journal import Journal, Recovery
from azr.ledger import events
from azr.ledger.experience import Experience
from azr.ledger.ledger import BooksBrokenError
from azr.ledger.snapshots import from_records, to_records
from azr.staleness.admission import Limits
from azr.staleness.lengths import SweptByLength

#: Journals are shortened when they outgrow this: ten default steps of a thousand tokens a sample.
SHORTEN_ABOVE_BYTES = 256 << 20


def open_experience(
    journal: Journal,
    limits: Limits,
    *,
    now: float,
    lease_seconds: float = 600.0,
    grace_seconds: float = 10.0,
    max_tries: int = 3,
    swept: SweptByLength | None = None,
    salvage: bool = False,
) -> tuple[Experience, Recovery]:
    """The experience as its journal tells it, which records in that journal from now on."""
    recovery = journal.open(salvage=salvage)
    experience = Experience(
        limits,
        record=lambda happened: journal.append(events.encode(happened)),
        lease_seconds=lease_seconds,
        max_tries=max_tries,
        swept=swept,
    )
    experience.rebuild(itertools.chain.from_iterable(map(events.decode, journal.records())), now, grace_seconds)
    if not recovery.records:
        journal.append(events.encode([experience.book.snapshot()]))
    return experience, recovery


def shorten(journal: Journal, experience: Experience, above_bytes: int = SHORTEN_ABOVE_BYTES) -> bool:
    """Put a snapshot in place of the journal's history once it has grown; returns whether it did."""
    if not journal.outgrew(above_bytes):
        return False
    journal.compact(to_records(experience.book.snapshot()))
    return True


def restore(
    journal: Journal, experience: Experience, records: Sequence[bytes], *, now: float, grace_seconds: float = 10.0
) -> None:
    """Put a checkpoint's snapshot in place of the journal and of what the experience knows, or of neither."""
    history = from_records(records)
    journal.compact(records)
    try:
        experience.restore(history, now, grace_seconds)
    except Exception as error:
        raise BooksBrokenError(f"a snapshot was taken up, but it could not happen: {error!r}") from error
