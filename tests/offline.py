"""A program run without a network, and whether it so much as tried: kernel counters and Python's own audit.

Where the system allows it (`unshare -rn`), it runs in a network namespace of its own in which nothing is up: the kernel
counts there what finds no route, whatever language it was tried from. In any case every attempt from Python to reach or
to look up another machine is refused, and written down.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

WATCHED = """
import os, runpy, socket, sys

log = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)

def refuse(event, args):
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        if args[0].family == socket.AF_UNIX or args[-1] is None:
            return
    elif event not in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
        return
    os.write(log, f"{event} {args[1:] if event.startswith('socket.s') else args}\\n".encode())
    raise OSError(101, "the network is off")

sys.addaudithook(refuse)
sys.argv = sys.argv[2:]
if sys.argv[0] == "-c":
    exec(sys.argv[1])
else:
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""

COUNTED = {
    "Ip": ("OutRequests", "OutNoRoutes"),
    "Tcp": ("ActiveOpens",),
    "Udp": ("OutDatagrams",),
    "snmp6": ("Ip6OutRequests", "Ip6OutNoRoutes", "Udp6OutDatagrams"),
}
"""what the kernel counts of attempts; https://docs.kernel.org/networking/snmp_counter.html"""


@dataclass(frozen=True)
class Watched:
    """What a program did: its exit code and output; `tried` are attempts that Python saw, `counted` the kernel's."""

    code: int
    out: str
    tried: list[str]
    counted: dict[str, int] | None


@cache
def namespaces() -> bool:
    """Whether this system gives a program a network of its own."""
    unshare = shutil.which("unshare")
    return bool(unshare) and subprocess.run([unshare, "-rn", "true"], capture_output=True).returncode == 0


def watched(folder: Path, *words: str, environ: Mapping[str, str] = {}) -> Watched:
    """Run `python -m WORDS` (or `-c CODE`) without a network."""
    folder.mkdir(exist_ok=True)
    log, counters = folder / "tried.txt", folder / "counters.txt"
    log.write_text("")
    command: Sequence[str] = [sys.executable, "-c", WATCHED, str(log), *words]
    if namespaces():
        then = f'"$@"; code=$?; cat /proc/net/snmp /proc/net/snmp6 > "{counters}"; exit $code'
        command = ["unshare", "-rn", "sh", "-c", then, "sh", *command]
    clean = {k: v for k, v in os.environ.items() if "proxy" not in k.lower()}
    done = subprocess.run(command, env={**clean, **environ}, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    tried = log.read_text().splitlines()
    counted = _counted(counters.read_text()) if counters.exists() else None
    return Watched(done.returncode, done.stdout + done.stderr, tried, counted)


def _counted(text: str) -> dict[str, int]:
    found: dict[str, int] = {}
    lines = [line.split() for line in text.splitlines()]
    for names, values in pairwise(lines):
        kind = names[0].rstrip(":")
        if names[0] == values[0]:
            told = dict(zip(names[1:], values[1:], strict=True))
            found |= {f"{kind}.{name}": int(told[name]) for name in COUNTED.get(kind, ())}
    return found | {line[0]: int(line[1]) for line in lines if line[0] in COUNTED["snmp6"]}
