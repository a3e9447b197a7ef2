"""How the commands print: lines, JSON, tables. Knows no command."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, is_dataclass
from typing import Any

import typer

from assistant.errors import OutputError


def echo(text: str) -> None:
    """Print a line. Raises OutputError where the output cannot be written, BrokenPipeError where nobody reads it."""
    try:
        typer.echo(text)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"wanted to write the output, got '{error.strerror}'; send it somewhere else") from error


def print_json(value: Any) -> None:
    """Print a value as one line of JSON."""
    echo(json.dumps(value, ensure_ascii=False, default=plainly))


def plainly(value: Any) -> Any:
    """What JSON is told of a value that it does not know."""
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else str(value)


def print_table(rows: Sequence[Any]) -> None:
    """Rows of the same keys as aligned columns, as wide as they are on a terminal."""
    from rich.cells import cell_len

    table = [row if isinstance(row, dict) else asdict(row) for row in rows]
    cells = [list(table[0]), *([_cell(value) for value in row.values()] for row in table)]
    widths = [max(cell_len(row[column]) for row in cells) for column in range(len(cells[0]))]
    for row in cells:
        echo("  ".join(cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True)).rstrip())


def _cell(value: Any) -> str:
    from assistant.display import clean

    return ", ".join(map(str, value)) if isinstance(value, tuple) else clean(str(value))
