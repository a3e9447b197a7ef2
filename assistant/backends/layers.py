"""The layers of a cache of the transformers library: copied where they are now, and put back there.

Full attention keeps all it was given and can be cut back to any token. A sliding window that has filled, convolutions
and recurrent states have lost what they were before, so they are copied. Knows nothing of tokens and prompts.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import repeat
from typing import Any

ALL_CUT: Sequence[Any] = ()
"""in place of copies: every layer is cut back"""


def can_be_cut(cache: Any) -> bool:
    """Whether every layer still has all it was given."""
    from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

    def whole(layer: Any) -> bool:
        if type(layer) is DynamicSlidingWindowLayer:
            return layer.get_seq_length() < layer.sliding_window
        return type(layer) is DynamicLayer

    return all(map(whole, cache.layers))


def copied(cache: Any) -> Sequence[Any]:
    """Copies of the layers that cannot be cut back for ever; None for those that can."""
    from transformers.cache_utils import DynamicLayer

    return [None if type(layer) is DynamicLayer else _copy(layer) for layer in cache.layers]


def back(cache: Any, copies: Sequence[Any], length: int) -> None:
    """Put copies back, which stay good for another time, and cut the other layers to `length` tokens."""
    for at, kept in zip(range(len(cache.layers)), copies or repeat(None), strict=False):
        layer = cache.layers[at]
        if kept is None:
            layer.crop(min(0, length - layer.get_seq_length()))
        else:
            cache.layers[at] = _copy(kept)


def _copy(layer: Any) -> Any:
    """A layer as it is now. Keys and values grow into new tensors; recurrent states are written over in place."""
    twin = copy.copy(layer)
    for name, value in vars(layer).items():
        if isinstance(value, dict):
            setattr(twin, name, {i: kept.clone() if hasattr(kept, "clone") else kept for i, kept in value.items()})
    return twin
