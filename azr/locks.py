"""Locks of the system on files: held until the file is closed or its process ends, however it ends.

Called by `azr.held_folders` (whose a folder is), `azr.sole_writer` (who writes into one), `actors.services.host` (whose
a journal is) and `azr.run.tracking.database` (who makes one).
"""

from __future__ import annotations

import errno
import fcntl
from typing import IO, Any

#: What a file system says that knows no locks: some on clusters, and NFS without its daemon.
_NO_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK)


def locked(file: IO[Any], *, shared: bool = False) -> bool:
    """Lock the file if that can be done at once; False where another holds it.

    True as well where the file system knows no locks: then nobody is kept out, which beats keeping out everybody.
    """
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    return True
