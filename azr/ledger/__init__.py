"""The ledger: what became of every sample, which groups are open, who works on them."""

from azr.ledger.leases import Lease, Leases
from azr.ledger.ledger import Account, Count, Ledger, LedgerError, Sample

__all__ = ["Account", "Count", "Lease", "Leases", "Ledger", "LedgerError", "Sample"]
