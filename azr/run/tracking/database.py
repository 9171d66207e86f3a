"""MLflow's client, and a new database of MLflow's: there whole, or not there.

MLflow makes one by dozens of migrations, for seconds, and none of them is taken back when the process is killed, or
when a second run makes the same database meanwhile: whoever opens it next fails at a column that is there already, and
so does every run beside it. So it is made under another name, by one process at a time. Called by
`azr.run.tracking.mlflow`.

    .mlflow.db.lock ──► .mlflow.db.new ── migrations ──► mlflow.db
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import IO, Any

from azr.locks import locked

_SCHEME = "sqlite:///"

#: How long another process may take over it (dozens of migrations, on a machine that is busy), and between two looks.
WAIT_SECONDS, LOOK_SECONDS = 120.0, 0.2


def client_of(uri: str) -> Any:
    """MLflow's client for a URI. Whoever needs MLflow gets it here: when it is imported it looks whether it may tell
    its makers what it is used for, and otherwise it does, over the network, and keeps a file in the user's home."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)


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
    client_of(f"{_SCHEME}{path}").search_experiments(max_results=1)
