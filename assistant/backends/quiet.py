"""C libraries that talk on stderr, kept from it while they are asked something whose answer we tell ourselves."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_one = threading.RLock()
"""two threads at once would each put back what the other had put there"""


@contextmanager
def quiet() -> Iterator[None]:
    """Send the process's stderr (the file descriptor, not `sys.stderr`) nowhere. For moments: it is all threads'."""
    with _one:
        yield from _quiet()


def _quiet() -> Iterator[None]:
    try:
        kept = os.dup(2)
    except OSError:  # there is no stderr
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
