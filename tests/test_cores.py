"""Threads for a mind: physical cores, what a container is granted, and one left to the rest."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from assistant.backends.cores import free_threads


def machine(folder: Path, siblings: list[str], quota: str | None = None) -> tuple[Path, Path]:
    """Files of the kernel: the threads beside each processor, and the container's quota."""
    for cpu, names in enumerate(siblings):
        (folder / f"cpu{cpu}/topology").mkdir(parents=True)
        (folder / f"cpu{cpu}/topology/thread_siblings_list").write_text(names + "\n")
    if quota is not None:
        (folder / "cpu.max").write_text(quota + "\n")
    return folder, folder / "cpu.max"


TWINS = ["0,4", "1,5", "2,6", "3,7", "0,4", "1,5", "2,6", "3,7"]


@pytest.mark.parametrize(
    ("usable", "siblings", "quota", "told"),
    [
        (8, TWINS, None, (3, "on 3 of 4 cores, one left to hearing and speaking")),
        (8, [str(i) for i in range(8)], "max 100000", (7, "on 7 of 8 cores, one left to hearing and speaking")),
        (8, TWINS, "150000 100000", (1, "on 1 of 2 cores, one left to hearing and speaking")),
        (8, TWINS, "50000 100000", (1, "on 1 of 1 core, shared with hearing and speaking")),
        (8, TWINS, "nonsense", (3, "on 3 of 4 cores, one left to hearing and speaking")),
        (2, TWINS, None, (1, "on 1 of 2 cores, one left to hearing and speaking")),
        (1, TWINS, None, (1, "on 1 of 1 core, shared with hearing and speaking")),
        (2, [], None, (1, "on 1 of 2 cores, one left to hearing and speaking")),
    ],
)
def test_one_physical_core_is_left_to_the_rest(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    usable: int,
    siblings: list[str],
    quota: str | None,
    told: tuple[int, str],
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(usable)), raising=False)
    assert free_threads(*machine(tmp_path, siblings, quota)) == told


def test_on_this_machine_there_is_at_least_one() -> None:
    threads, why = free_threads()
    assert 1 <= threads <= (os.cpu_count() or 1)
    assert why.startswith(f"on {threads} of ")
