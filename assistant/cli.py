"""The program's outermost frame: arguments in, exit code out, one line for whatever went wrong.

The one place that catches AssistantError. Exit codes: 0 done, 1 an error of ours, 2 usage, 130 Ctrl-C. Imports nothing
that takes time before it can be interrupted quietly; what the commands are and do is in `commands`.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections.abc import Sequence
from io import TextIOWrapper
from typing import NoReturn

from assistant.errors import AssistantError

INTERRUPTED = 130
"""128 + SIGINT, as shells count"""
OWN_OPTIONS = ("-h", "--help", "--version")
"""what `assistant` itself answers; any other option in the first place belongs to `assistant run`"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command that the arguments name (default: this process's) and exit with its code."""
    code = run(sys.argv[1:] if arguments is None else arguments)
    if any(thread.daemon and thread.name.startswith("assistant-") for thread in threading.enumerate()):
        _leave_at_once(code)
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run a command and return its exit code. Raises only with `--debug`, and then whatever went wrong."""
    ours, rest = _split(arguments)
    debug = "--debug" in ours
    words = [word for word in ours if word != "--debug"] + rest
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that lacks a character shows a ?, and the talk goes on
    try:
        code = _command(words)
        sys.stdout.flush()  # at exit it could no longer be told that it went wrong
        return code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _leave_quietly()
        return 1
    except OSError as error:
        if debug:
            raise
        _leave_quietly()
        return _fail(f"wanted a file or the output, got '{error}'; make room or permit it")
    except AssistantError as error:
        if debug:
            raise
        return _fail(str(error))
    except Exception as error:  # the last resort: a user gets a line, who asks for it with --debug the traceback
        if debug:
            raise
        first = _innermost(error)
        return _fail(f"unexpected {type(first).__name__}: {first}; run again with --debug to see where")


def _command(words: list[str]) -> int:
    from typer import TyperException

    from assistant.commands import app

    if not words or (words[0].startswith("-") and words[0] not in OWN_OPTIONS):
        words = ["run", *words]
    try:
        return app(words, prog_name="assistant", standalone_mode=False) or 0
    except TyperException as error:
        context = getattr(error, "ctx", None)
        where = context.command_path if context is not None else "assistant"
        message = error.format_message().rstrip(".").replace("Value error, ", "")  # typer's validator says so first
        _fail(f"{message[:1].lower()}{message[1:]}; see {where} --help")
        return error.exit_code


def _split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The arguments up to `--`, and the rest, which no option of ours may be taken from."""
    at = list(arguments).index("--") if "--" in arguments else len(arguments)
    return list(arguments[:at]), list(arguments[at:])


def _fail(message: str) -> int:
    from assistant.display import clean

    try:
        sys.stderr.write(f"assistant: error: {clean(message)}\n")
    except OSError:  # nobody listens; the exit code still tells
        pass
    return 1


def _leave_quietly() -> None:
    """Whoever read our output is gone: let the interpreter's own flush at exit find no one to complain to."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _leave_at_once(code: int) -> NoReturn:
    """End without waiting for threads that are still in an engine's native code, as one that was being loaded is.

    An interpreter that ends takes Python away from under them: when they come back for it, their library aborts.
    """
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # nobody reads it any more
            pass
    os._exit(code)


def _innermost(error: BaseException) -> BaseException:
    """The first error of a group of errors."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
