"""How many processor cores this process may use."""

from __future__ import annotations

import math
import os
from pathlib import Path

QUOTA = Path("/sys/fs/cgroup/cpu.max")  # microseconds of processor time a period, and the period: cgroup v2
QUOTA_V1, PERIOD_V1 = (Path(f"/sys/fs/cgroup/cpu/cpu.cfs_{name}_us") for name in ("quota", "period"))


def cores() -> int:
    """Cores that this process may use: those it may run on, or fewer where a container's quota allows less time."""
    affinity = getattr(os, "sched_getaffinity", None)
    available = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, math.ceil(min(available, _quota())))


def _quota() -> float:
    """Processor time a second that the container grants, in cores; infinite where nothing limits it."""
    for read in (lambda: QUOTA.read_text().split(), lambda: [QUOTA_V1.read_text(), PERIOD_V1.read_text()]):
        try:
            quota, period = (float(text) for text in read())
        except (OSError, ValueError):  # no such file, or the quota is "max"
            continue
        if quota > 0 and period > 0:
            return quota / period
    return math.inf
