"""Other libraries' chatter kept off the run's console: what goes wrong comes to the driver as errors, not as lines."""

from __future__ import annotations

import logging
import os
import warnings

#: Loggers that tell of their own starts, deletions and migrations.
_CHATTY = ("ray", "ray.serve", "ray.train", "ray.data", "mlflow", "alembic", "urllib3", "httpx")


def _wrong(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR


def hush() -> None:
    """Let only what is wrong through. Called once, before the libraries are imported, in the driver's process."""
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
    for name in _CHATTY:
        # A filter, because Serve and MLflow set their loggers' levels anew when they are imported.
        logging.getLogger(name).addFilter(_wrong)
    warnings.filterwarnings("ignore", module=r"(mlflow|sqlalchemy|ray)\b.*")
