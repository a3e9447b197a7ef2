"""What this machine has to run models on: memory that is free, a graphics card, processor cores.

Measured when asked, within a few milliseconds, except that torch is imported where there are signs of a graphics card.
Knows nothing of models.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
_GPU_SIGNS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
"""device files of NVIDIA's driver, of AMD's, and of either under Windows' Linux"""


@dataclass(frozen=True, slots=True)
class Machine:
    """`ram_mb` and `vram_mb` are what is free now, in units of 10^6 bytes; no graphics card: 0.

    `cores` are those this process may use. `apple`: Apple silicon, whose graphics card shares the main memory.
    """

    ram_mb: int
    vram_mb: int = 0
    cores: int = 1
    apple: bool = False

    def __str__(self) -> str:
        """In words, as in `22.1 GB of memory free, 2 cores, no graphics card`."""
        card = f"{self.vram_mb / 1e3:.1f} GB free on the graphics card" if self.vram_mb else "no graphics card"
        cores = f"{self.cores} core{'' if self.cores == 1 else 's'}"
        return f"{self.ram_mb / 1e3:.1f} GB of memory free, {cores}, {'Apple silicon' if self.apple else card}"


def measure() -> Machine:
    """Measure this machine, now."""
    import psutil

    free = psutil.virtual_memory().available
    left = [free, *([_left_in_container(CGROUPS)] if sys.platform == "linux" else [])]
    apple = sys.platform == "darwin" and platform.machine() == "arm64"
    return Machine(int(min(left)) // 1_000_000, 0 if apple else _vram_mb(), usable_cores(), apple)


def usable_cores() -> int:
    """The processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _left_in_container(root: Path) -> float:
    """Bytes that a container's limit leaves, inf without one; files that are only kept in memory count as free.

    Source: https://docs.kernel.org/admin-guide/cgroup-v2.html (and cgroup-v1/memory.html).
    """
    for limit, used, stat, cached in (
        ("memory.max", "memory.current", "memory.stat", "inactive_file"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat", "total_inactive_file"),
    ):
        try:
            most = (root / limit).read_text(encoding="ascii").strip()
            if most == "max":
                continue
            table = dict(line.split() for line in (root / stat).read_text(encoding="ascii").splitlines())
            return int(most) - int((root / used).read_text(encoding="ascii")) + int(table.get(cached, 0))
        except (OSError, ValueError):  # not this version of them, or not readable: no limit that we could know
            continue
    return float("inf")


def _vram_mb() -> int:
    """What is free on the card that torch takes by itself; it is not imported where no card can be."""
    if not (shutil.which("nvidia-smi") or any(Path(sign).exists() for sign in _GPU_SIGNS)):
        return 0
    import torch

    return torch.cuda.mem_get_info()[0] // 1_000_000 if torch.cuda.is_available() else 0
