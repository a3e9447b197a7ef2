"""Which licences the user has accepted: asked once, and written down in the store."""

from __future__ import annotations

import json
from typing import Any

from assistant.errors import OutputError, WeightsError
from assistant.models.catalogue import Weights
from assistant.models.settings import StoreSettings

LICENCES = "licences.json"


def accepted(weights: Weights, settings: StoreSettings) -> bool:
    """Whether a model's licence has been accepted, or need not be."""
    return not weights.accept or _licences(settings).get(weights.name) == weights.licence


def accept(weights: Weights, settings: StoreSettings) -> None:
    """Remember that a licence has been accepted. Raises OutputError where that cannot be written."""
    file = settings.kept_in() / LICENCES
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({**_licences(settings), weights.name: weights.licence}, indent=1), encoding="utf-8")
    except OSError as error:
        raise OutputError(f"wanted to write {file}, got '{error.strerror}'; make room or permit it") from error


def check_licence(weights: Weights, settings: StoreSettings) -> None:
    """Raises WeightsError where a licence that must be accepted has not been."""
    if not accepted(weights, settings):
        raise WeightsError(
            f"wanted the licence {weights.licence} of '{weights.name}' accepted, it is not; read {weights.licence_url} "
            f"and say: assistant models pull {weights.name} --accept-licence {weights.name}"
        )


def _licences(settings: StoreSettings) -> dict[str, str]:
    try:
        told: Any = json.loads((settings.kept_in() / LICENCES).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}
