"""Where other programs keep the same models: the caches of the Hugging Face hub, of openai-whisper and of Coqui.

Only looks, and follows these programs' own environment variables. What lies there is theirs: it is used, never changed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from assistant.models.catalogue import Hub, Weights


def caches(weights: Weights) -> Iterator[Path]:
    """Where a model would lie that another program has fetched: the file, or the folder of one that is a folder."""
    if weights.engine == "whisper":
        yield _home("XDG_CACHE_HOME", ".cache") / "whisper" / weights.file
    if weights.engine == "coqui" and "model" in weights.options:
        yield _coqui() / weights.options["model"].replace("/", "--")
    for source in weights.sources:
        if isinstance(source, Hub):
            yield from _snapshots(source)


def _home(variable: str, otherwise: str) -> Path:
    return Path(os.environ.get(variable) or Path.home() / otherwise).expanduser()


def _snapshots(source: Hub) -> list[Path]:
    """What the hub's cache has of a repository: the commit that is wanted first, then any other, the newest first.

    Source: https://huggingface.co/docs/huggingface_hub/guides/manage-cache
    """
    home = Path(os.environ.get("HF_HOME") or _home("XDG_CACHE_HOME", ".cache") / "huggingface").expanduser()
    cache = Path(os.environ.get("HF_HUB_CACHE") or home / "hub").expanduser()
    repository = cache / f"models--{source.repository.replace('/', '--')}"
    ref = repository / "refs" / source.revision
    commit = ref.read_text(encoding="utf-8").strip() if ref.is_file() else source.revision
    found = [path for path in (repository / "snapshots").glob("*") if path.is_dir()]
    return sorted(found, key=lambda path: (path.name == commit, path.stat().st_mtime), reverse=True)


def _coqui() -> Path:
    """Source: `trainer.io.get_user_data_dir` of Coqui's trainer."""
    if named := os.environ.get("TTS_HOME") or os.environ.get("XDG_DATA_HOME"):
        return Path(named).expanduser() / "tts"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "tts"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "tts"
    return Path.home() / ".local" / "share" / "tts"
