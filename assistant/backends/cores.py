"""How many threads a model may keep busy while hearing, seeing and speaking run beside it. Knows no model."""

from __future__ import annotations

import os
from math import ceil
from pathlib import Path

TOPOLOGY = Path("/sys/devices/system/cpu")
QUOTA = Path("/sys/fs/cgroup/cpu.max")


def free_threads(topology: Path = TOPOLOGY, quota: Path = QUOTA) -> tuple[int, str]:
    """Threads for a mind, and why so many: the physical cores that this process may use, without one for the other
    engines. Two threads of one core share what computes, and a thread that waits for its turn makes all others wait.
    """
    usable = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    cores = len({_core(topology, cpu) for cpu in usable})
    granted = min(cores, _granted(quota) or cores)
    threads = max(1, granted - 1)
    left = "shared with hearing and speaking" if granted == 1 else "one left to hearing and speaking"
    return threads, f"on {threads} of {granted} core{'s' if granted > 1 else ''}, {left}"


def _core(topology: Path, cpu: int) -> str:
    """What names the core of a processor: the list of processors that are threads of it (Linux), else itself."""
    try:
        return (topology / f"cpu{cpu}/topology/thread_siblings_list").read_text(encoding="ascii").strip()
    except OSError:
        return str(cpu)


def _granted(quota: Path) -> int | None:
    """The processors' worth of time that a container is granted, None without a limit.

    Source: https://docs.kernel.org/admin-guide/cgroup-v2.html (cpu.max).
    """
    try:
        most, period = quota.read_text(encoding="ascii").split()
        return None if most == "max" else max(1, ceil(int(most) / int(period)))
    except (OSError, ValueError, ZeroDivisionError):  # no such version of it, or not readable: no limit we could know
        return None
