"""What a GGUF file says of itself, read before an engine gets it: what it is for, how large it is, whether it is whole.

A file that was cut off is told by its length. Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. Knows
no engine and reads no weights.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from assistant.errors import WeightsError

PROJECTOR = "clip"
"""the architecture of the part that makes pictures readable for a model (mmproj)"""

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_TEXT, _LIST = 8, 9
_LENGTH = struct.Struct("<Q")
_BLOCKS = {0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 8: (32, 34), 12: (256, 144), 14: (256, 210), 30: (1, 2)}
"""type of a tensor -> weights and bytes a block: F32, F16, Q4_0, Q4_1, Q8_0, Q4_K, Q6_K, BF16"""


@dataclass(frozen=True, slots=True)
class Header:
    """`keys` are the metadata but for lists, of which `lists` has the lengths.

    `tensors`: name -> sizes, the innermost first, as the file has them. `parameters` counts the weights of all.
    """

    architecture: str
    keys: dict[str, Any]
    lists: dict[str, int]
    tensors: dict[str, tuple[int, ...]]

    @property
    def parameters(self) -> int:
        """How many weights this file has."""
        return sum(prod(sizes) for sizes in self.tensors.values())


def read_header(path: Path) -> Header:
    """Read it: some milliseconds, a tenth of a second for a large vocabulary. Raises WeightsError for a file that is
    none, or is cut off; of tensors whose type is not known here, only where they begin is looked at.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            header, end = _Reader(data).header()
            length = len(data)
    except (OSError, ValueError, OverflowError, struct.error, UnicodeDecodeError) as error:
        reason = error.args[0] if isinstance(error, _Damaged) else "a damaged header"
        raise WeightsError(f"wanted a GGUF file, got {reason} in '{path}'; fetch it anew") from error
    if end > length:
        raise WeightsError(f"wanted a whole GGUF file of at least {end} bytes, got {length} in '{path}'; fetch it anew")
    return header


class _Damaged(ValueError):
    """What is found in place of a header."""


@dataclass(frozen=True, slots=True)
class _List:
    length: int


class _Reader:
    def __init__(self, data: mmap.mmap) -> None:
        self._data, self._at = data, 0

    def header(self) -> tuple[Header, int]:
        """The header, and where the last tensor ends."""
        if self._data[:4] != b"GGUF":
            raise _Damaged("something else")
        self._at = 4
        version = self._number("I")
        if version not in (2, 3):
            raise _Damaged(f"version {version}, which nobody knows,")
        tensors, count = self._number("Q"), self._number("Q")
        keys = dict(self._key() for _ in range(count))
        lists = {name: value.length for name, value in keys.items() if isinstance(value, _List)}
        kept = {name: value for name, value in keys.items() if name not in lists}
        found = [self._tensor() for _ in range(tensors)]
        align = kept.get("general.alignment", 32)
        if not isinstance(align, int) or align < 1:
            raise _Damaged("a damaged header")
        begin = -(-self._at // align) * align
        end = begin + max((offset + size for *_, offset, size in found), default=0)
        architecture = str(kept.get("general.architecture", ""))
        return Header(architecture, kept, lists, {name: sizes for name, sizes, *_ in found}), end

    def _number(self, kind: str) -> Any:
        (value,) = struct.unpack_from(f"<{kind}", self._data, self._at)
        self._at += struct.calcsize(f"<{kind}")
        return value

    def _text(self) -> bytes:
        length = self._number("Q")
        self._at += length
        if self._at > len(self._data):
            raise _Damaged("a damaged header")
        return self._data[self._at - length : self._at]

    def _key(self) -> tuple[str, Any]:
        return self._text().decode(), self._value(self._number("I"))

    def _value(self, kind: int) -> Any:
        """The value of a key; of a list, which is passed over, only its length."""
        if kind in _SCALARS:
            return self._number(_SCALARS[kind])
        if kind == _TEXT:
            return self._text().decode(errors="replace")
        if kind != _LIST:
            raise _Damaged("a damaged header")
        of, count = self._number("I"), self._number("Q")
        if of == _TEXT:  # a vocabulary: hundreds of thousands
            for _ in range(count):
                self._at += 8 + _LENGTH.unpack_from(self._data, self._at)[0]
        elif of in _SCALARS:
            self._at += count * struct.calcsize(f"<{_SCALARS[of]}")
        else:
            raise _Damaged("a damaged header")
        return _List(count)

    def _tensor(self) -> tuple[str, tuple[int, ...], int, int]:
        """A tensor's name and sizes, where it begins, and its bytes as far as they are known."""
        name = self._text().decode()
        sizes = tuple(self._number("Q") for _ in range(min(self._number("I"), 8)))
        block, size = _BLOCKS.get(self._number("I"), (1, 0))
        return name, sizes, self._number("Q"), prod(sizes) // block * size
