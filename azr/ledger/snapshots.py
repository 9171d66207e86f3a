"""A snapshot of the books as records of bytes: what the books say in the first, bodies in pieces behind it.

Written where a journal is shortened and into checkpoints, by `azr.journal.durable` and the experience service; read by
the same. In one piece a shard with long responses would not fit a journal's record (1 GiB), nor msgpack's longest bytes
(4 GiB), and would lie in memory twice while it is written.

      Book ── snapshot ──► to_records ──► [Snapshot, no bodies] [Bodies] [Bodies] …      each at most `PIECE_BYTES`, or
      Book ◄── apply, one by one ── from_records ◄──┘                                    one body that is longer
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

import msgspec

from azr.ledger import events
from azr.ledger.book import check_schema
from azr.ledger.events import Event
from azr.ledger.ledger import LedgerError, Sample

#: Bytes of bodies in one record: few records, and little memory for the one that is being written.
PIECE_BYTES = 64 << 20


def to_records(snapshot: events.Snapshot, piece_bytes: int = PIECE_BYTES) -> Iterator[bytes]:
    """The records, made one by one; the book must not change meanwhile."""
    ledger = snapshot.ledger
    bare = msgspec.structs.replace(
        ledger,
        in_flight=[_without_body(sample) for sample in ledger.in_flight],
        trained=[(step, _without_body(sample)) for step, sample in ledger.trained],
    )
    yield events.encode([msgspec.structs.replace(snapshot, ledger=bare)])
    for piece in _pieces(chain(ledger.in_flight, (sample for _, sample in ledger.trained)), piece_bytes):
        yield events.encode([events.Bodies(piece)])


def from_records(records: Iterable[bytes]) -> list[Event]:
    """The events to apply, of a snapshot that this azr can read."""
    history = list(chain.from_iterable(map(events.decode, records)))
    if not history or not isinstance(history[0], events.Snapshot):
        raise LedgerError("what should be a snapshot of the experience does not begin with one")
    check_schema(history[0])
    return history


def _pieces(samples: Iterable[Sample], piece_bytes: int) -> Iterator[dict[str, bytes]]:
    piece: dict[str, bytes] = {}
    size = 0
    for sample in samples:
        if not sample.body:
            continue
        if piece and size + len(sample.body) > piece_bytes:
            yield piece
            piece, size = {}, 0
        piece[sample.id] = sample.body
        size += len(sample.body)
    if piece:
        yield piece


def _without_body(sample: Sample) -> Sample:
    return msgspec.structs.replace(sample, body=b"") if sample.body else sample
