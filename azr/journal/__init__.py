"""The journal: what was acknowledged outlasts the process that acknowledged it."""

from azr.journal.journal import Journal, JournalDamagedError, JournalError, Recovery, SyncPolicy
from azr.journal.storage import Folder, Storage

__all__ = ["Folder", "Journal", "JournalDamagedError", "JournalError", "Recovery", "Storage", "SyncPolicy"]
