"""How many cores this process may keep busy, which in a container are fewer than the machine has.

Two things bound them: the cores it may run on (`taskset`, a cpuset), and the time its control group may use in a period
(`docker run --cpus`, a limit in Kubernetes), which the kernel enforces by halting everybody in the group. More
processes than that only wait for each other.
"""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path

#: Where a container finds its control group.
CONTROL_GROUP = Path("/sys/fs/cgroup")


def available_cores(control_group: Path = CONTROL_GROUP) -> int:
    """Cores this process may run on, or as many as its control group has time for, rounded up, if those are fewer."""
    return min(len(os.sched_getaffinity(0)), max(1, _cores_in_time(control_group)))


def _cores_in_time(control_group: Path) -> int:
    """How many cores the control group may keep busy; far too many where nothing bounds it or nothing is said."""
    try:
        if (both := control_group / "cpu.max").is_file():  # version 2: "200000 100000", or "max 100000"
            quota, period = both.read_text().split()
        else:
            quota, period = ((control_group / "cpu" / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return math.ceil(int(quota) / int(period)) if int(quota) > 0 else sys.maxsize  # version 1 says -1 for no bound
    except (OSError, ValueError, ZeroDivisionError):
        return sys.maxsize
