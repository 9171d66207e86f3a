"""What is left of a run that is over: its books, its MLflow runs, and whatever lies about on the machine.

Called by the soak, before a run (`remains`) and after it.
"""

from __future__ import annotations

import contextlib
import re
import stat
import tempfile
import time
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import NamedTuple

from azr.config import load
from azr.errors import AzrError
from azr.held_folders import SHORT
from azr.journal.durable import open_experience
from azr.journal.journal import Journal
from azr.journal.storage import Folder
from azr.ledger import events
from azr.ledger.ledger import LedgerError
from azr.run.folder import RunFolder
from azr.run.local_ray import PREFIX
from azr.run.tracking.database import client_of
from azr.run.tracking.mlflow import tracking_uri
from azr.staleness.admission import Limits
from benchmarks.audit import Audit, journals

#: Where runs put what must not outlive them, and what it is called there.
_PLACES = (
    (Path("/dev/shm"), "*"),
    *(
        (folder, pattern)
        for folder in {Path(tempfile.gettempdir()), SHORT}
        for pattern in (f"{PREFIX}*", "azr-engine-*")
    ),
)

_OWNER = re.compile(rf"^(?:{PREFIX}|azr-engine-|sem\.loky-)(\d+)|^azr-azr-.*-(\d+)$")


class Books(NamedTuple):
    """The experience as its journal tells it."""

    open: str
    """Why the ledger does not close; empty when it does."""
    audit: Audit


def books(run: Path) -> Books:
    """Read a copy of the journal twice: as the service does, and as the audit does."""
    folders = {path.parent for path in journals(run) if path.parent.name.startswith("experience-")}
    if len(folders) != 1:
        raise AzrError(
            f"{run} has {len(folders)} journals of the experience; the audit reads one", "run with one shard"
        )
    config = load([str(RunFolder(run).config)])
    with tempfile.TemporaryDirectory(prefix="azr-books-") as copy:
        for path in folders.pop().iterdir():
            if path.is_file():
                (Path(copy) / path.name).write_bytes(path.read_bytes())
        journal = Journal(Folder(Path(copy)), draw_marker=lambda: b"8 bytes!", clock=time.monotonic)
        try:
            experience, _ = open_experience(journal, Limits.of(config.algorithm, config.staleness), now=0.0)
            experience.assert_closed()
            why = ""
        except LedgerError as error:
            why = str(error)
            journal.open()
        audit = Audit().read(event for record in journal.records() for event in events.decode(record))
        journal.close()
        return Books(why, audit)


def same_mlflow_run(folder: RunFolder) -> tuple[bool, str]:
    """Whether all drivers told one run of MLflow, and how many runs and starts it knows."""
    card = folder.card()
    client = client_of(tracking_uri("sqlite", folder.root.parent))
    runs = [
        run
        for experiment in client.search_experiments()
        for run in client.search_runs([experiment.experiment_id])
        if run.info.run_name == card.name
    ]
    starts = runs[0].data.tags.get("azr.starts", "") if runs else ""
    same = [run.info.run_id for run in runs] == [card.mlflow] and starts == str(card.starts)
    return same, f"{len(runs)} runs, {starts} of {card.starts} starts"


def owner(path: Path) -> int | None:
    """The process that such a name tells it belongs to, if it does."""
    found = _OWNER.search(path.name)
    return int(found[1] or found[2]) if found else None


def left_by(pids: Collection[int], found: Iterable[Path]) -> list[Path]:
    """Those that belonged to these processes, and those that tell no owner and that nobody uses: another run on the
    machine has its own."""
    return sorted(path for path in found if owner(path) in pids or (owner(path) is None and not _used(path)))


def _used(path: Path) -> bool:
    """Whether any process has it in its memory."""
    for maps in Path("/proc").glob("[0-9]*/maps"):
        with contextlib.suppress(OSError):  # it has just ended, or is not ours to ask
            if str(path) in maps.read_text():
                return True
    return False


def remains() -> frozenset[Path]:
    """What lies where runs put what must not outlive them; sockets and folders of others among it."""
    found: set[Path] = set()
    for place, pattern in _PLACES:
        for path in place.glob(pattern):
            with contextlib.suppress(OSError):
                if not stat.S_ISLNK(path.lstat().st_mode):
                    found.add(path)
    return frozenset(found)
