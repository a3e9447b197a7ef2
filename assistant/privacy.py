"""Libraries that report on their users are told not to, before they are imported.

`onnxruntime` sends events to its maker from 1.29 on, on every system, unless it finds this variable when it starts
(https://github.com/microsoft/onnxruntime/blob/main/docs/Privacy.md); the hub's library names its user in each request.
"""

from __future__ import annotations

import os

SILENT = {
    "ORT_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
}
"""what the libraries of this project read, and what many others agree on"""


def keep_quiet() -> None:
    """Set the variables for this process and those it starts; whatever they were, nothing leaves the machine."""
    os.environ.update(SILENT)
