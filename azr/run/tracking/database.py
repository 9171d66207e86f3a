"""A new database of MLflow's: there whole, or not there.

MLflow makes one by dozens of migrations, for seconds, and none of them is taken back when the process is killed, or
when a second run makes the same database meanwhile: whoever opens it next fails at a column that is there already, and
so does every run beside it. So it is made under another name, by one process at a time. Called by
`azr.run.tracking.mlflow`.

    .mlflow.db.lock ──► .mlflow.db.new ── migrations ──► mlflow.db
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import IO

from azr.locks import locked

_SCHEME = "sqlite:///"

#: How long another process may take over it (dozens of migrations, on a machine that is busy), and between two looks.
WAIT_SECONDS, LOOK_SECONDS = 120.0, 0.2


def make_database(uri: str) -> None:
    """Make the database that a URI of SQLite names, if it is not there; of another URI nothing is made."""
    name = uri.removeprefix(_SCHEME)
    if name == uri or not name or "?" in name or (path := Path(name)).exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(f".{path.name}.lock")
    with lock.open("a") as file:
        _lock(file)
        if not path.exists():
            aside = path.with_name(f".{path.name}.new")
            for left in path.parent.glob(f"{aside.name}*"):  # by one who was killed; SQLite may have files beside it
                left.unlink()
            _migrate(aside)
            aside.rename(path)
        lock.unlink(missing_ok=True)  # whoever waits for it, or comes after, finds the database


def _lock(file: IO[str]) -> None:
    ends = time.monotonic() + WAIT_SECONDS
    while not locked(file):
        if time.monotonic() > ends:
            raise TimeoutError(f"waited {WAIT_SECONDS:g} s for who holds {file.name} to make it")
        time.sleep(LOOK_SECONDS)


def _migrate(path: Path) -> None:
    from mlflow import MlflowClient

    MlflowClient(tracking_uri=f"{_SCHEME}{path}").search_experiments(max_results=1)
